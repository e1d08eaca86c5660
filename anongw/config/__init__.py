"""TOML -> frozen, validated values. Every field has a unit, a default and a reason.

sections.py   the sections and their fields      values.py   what they are written in
load.py       from a file and `--set` to Config   cross.py    what no single value shows
faults.py     what is wrong, where, how to mend   example.py  the sections' own texts as a config file

Nothing here opens a socket, looks up a name or imports more than msgspec and tomllib: a config is read at
every start.
"""

from anongw.config.cross import is_loopback
from anongw.config.faults import ConfigError, Fault, Found, undotted
from anongw.config.load import load
from anongw.config.sections import (
    Config,
    Family,
    Identity,
    Level,
    Limits,
    Listen,
    Log,
    Policy,
    Profile,
    Resolve,
    Scrub,
    ScrubRule,
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
    "Cidr",
    "Config",
    "ConfigError",
    "Family",
    "Fault",
    "Found",
    "Identity",
    "Level",
    "Limits",
    "Listen",
    "Log",
    "Network",
    "PasswordHash",
    "Policy",
    "Profile",
    "Resolve",
    "Rule",
    "Scrub",
    "ScrubRule",
    "Secret",
    "duration_text",
    "is_loopback",
    "load",
    "parse_duration",
    "parse_listen",
    "size_text",
    "undotted",
]
