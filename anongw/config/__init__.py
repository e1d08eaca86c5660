"""TOML -> frozen, validated values. Every field has a unit, a default and a reason.

sections.py   the sections and their fields       chains.py        the fields of chains and routes
values.py     what they are written in            hops.py          hops, as everybody uses them
load.py       from files and `--set` to Config    hop_tables.py    hops, as they are written
sources.py    the files, and where what stands    secrets.py       passwords, logins.py which ones can be
tables.py     from TOML to structs                proxychains.py   chains of another program
cross.py      what no single value shows          cross_chains.py  the same, of chains and routes
faults.py     what is wrong, where, how to mend   words.py, consequences.py   what chains do, in words
example.py    all texts, as a config file

Nothing here opens a socket, looks up a name or imports more than msgspec and tomllib: a config is read at
every start.
"""

from anongw.config.chains import (
    DIRECT,
    REFUSE,
    Chain,
    ChainFamily,
    Control,
    Egress,
    Health,
    Names,
    Overlay,
    Probe,
    Route,
    Spoken,
)
from anongw.config.cross import is_loopback
from anongw.config.faults import ConfigError, Fault, Found, undotted
from anongw.config.hops import TOKEN, TOKEN_LENGTH, Hop, HopUrl, Isolation, Member, Scheme, Strategy
from anongw.config.load import exposed, load
from anongw.config.sections import (
    Config,
    Family,
    Identity,
    Level,
    Limits,
    Listen,
    Log,
    NamedIdentity,
    PersonaRecord,
    Policy,
    Profile,
    Resolve,
    SafeSocks,
    Scrub,
    ScrubRule,
    Taken,
)
from anongw.config.values import (
    Cidr,
    Network,
    PasswordHash,
    Rule,
    Secret,
    duration_text,
    parse_duration,
    parse_listen,
    size_text,
)

__all__ = [
    "DIRECT",
    "REFUSE",
    "TOKEN",
    "TOKEN_LENGTH",
    "Chain",
    "ChainFamily",
    "Cidr",
    "Config",
    "ConfigError",
    "Control",
    "Egress",
    "Family",
    "Fault",
    "Found",
    "Health",
    "Hop",
    "HopUrl",
    "Identity",
    "Isolation",
    "Level",
    "Limits",
    "Listen",
    "Log",
    "Member",
    "NamedIdentity",
    "Names",
    "Network",
    "Overlay",
    "PasswordHash",
    "PersonaRecord",
    "Policy",
    "Probe",
    "Profile",
    "Resolve",
    "Route",
    "Rule",
    "SafeSocks",
    "Scheme",
    "Scrub",
    "ScrubRule",
    "Secret",
    "Spoken",
    "Strategy",
    "Taken",
    "duration_text",
    "exposed",
    "is_loopback",
    "load",
    "parse_duration",
    "parse_listen",
    "size_text",
    "undotted",
]
