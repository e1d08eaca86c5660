"""A proxychains or proxychains-ng configuration as a chain of ours: its text in, TOML and remarks out.

Rules: a proxy of a chain in order is never left out, because the chain would be shorter than its owner
thinks. What went past the proxies (localnet, names looked up by this machine) is never carried over, and
always said. No remark and no fault quotes the file, because any word in it may be part of a password. What
comes out is a chain that loads: it has been read back and judged as any other.

What its words mean was read in proxychains-ng itself: src/libproxychains.c reads the file, src/core.c dials.
"""

import ipaddress
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from anongw.address import Endpoint, parse_host, parse_port
from anongw.config import faults
from anongw.config.chains import Chain, Route
from anongw.config.cross_chains import crossed_chains
from anongw.config.faults import ConfigError, Fault, Found
from anongw.config.sections import Config, Listen
from anongw.config.tables import Tables
from anongw.config.values import Rule, duration_text
from anongw.errors import Refused

# C's isspace; Python's own idea of a blank has characters that a password may hold.
_BLANK: Final = " \t\v\f\r"
_BLANKS: Final = re.compile(f"[{_BLANK}]+")
# The last "@" ends the password, and nothing in it is percent-encoded.
_URL: Final = re.compile(rf"(\w+)://(?:([^:]*):(.*)@)?([^:@{_BLANK}]*):([^{_BLANK}]*)(?:[{_BLANK}].*)?")
_LENGTH: Final = re.compile(rf"chain_len[{_BLANK}]*=[{_BLANK}]*([0-9]{{1,9}})")
_MILLISECONDS: Final = re.compile(r"[0-9]{1,9}")
# An IPv6 address takes a port only in brackets.
_LOCALNET: Final = re.compile(
    r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)|([0-9A-Fa-f:.]+)(?=/))(?::([0-9]{1,5}))?/([0-9.]{1,15})"
)

_ORDERS: Final = ("strict_chain", "dynamic_chain", "random_chain", "round_robin_chain")
_STRATEGIES: Final = {"random_chain": "random", "round_robin_chain": "round-robin"}
_KINDS: Final = ("socks5", "socks4", "http")
# What each is where the file does not say, in milliseconds.
_TIMES: Final = {"tcp_connect_time_out": 10_000, "tcp_read_time_out": 4_000}
# As many as proxychains reads (MAX_CHAIN); of a longer list it takes no notice.
PROXIES_MOST: Final = 512
_NAME: Final = "imported"  # until its owner gives it one

_UNKNOWN = "no setting of proxychains, which passes over it; proxies count only below [ProxyList]"
_NO_PROXY = "lists no proxy that anongw can use: write one below [ProxyList], such as socks5 127.0.0.1 9050"
_DYNAMIC = (
    "dynamic_chain skips dead proxies, which shortens the chain without a word: "
    "anongw goes through all of them, or refuses"
)
_UNORDERED = "no kind of chain is named, so it is the usual one."
_ROUND_ROBIN = (
    "round_robin_chain takes the next proxies of the list in their order; anongw takes them in any order"
)
_LOOKED_UP = (
    "without proxy_dns this machine looked up the names, which tells its resolver where you go: "
    "with anongw they travel to the last proxy"
)
_LOOKED_UP_FAR = (
    "proxy_dns_old asked a public name server through the chain: with anongw names travel to the last proxy"
)
_BYPASS = (
    "localnet went past the proxies. It is only a comment in the result, because a bypass is a rule with "
    'the word "direct" in it, which you have to mean'
)
_NO_BYPASS = "this localnet is no range of addresses that anongw can write; it is left out"
_DNAT = "dnat is left out, because anongw changes no targets: have the programs ask for the new address"
_PASSWORDS = (
    "the result holds passwords: only its owner may be able to read it (chmod 600); or write password_env or "
    "password_file instead"
)


@dataclass(slots=True, repr=False)  # the urls hold passwords
class _Found:
    """What the lines said so far."""

    file: str
    order: str = "dynamic_chain"
    order_line: int | None = None
    length: int = 1
    length_line: int | None = None
    times: dict[str, int] = field(default_factory=dict)
    dns: str = ""
    bypasses: list[str] = field(default_factory=list)
    bypass_line: int | None = None
    password_line: int | None = None
    urls: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)  # where each url comes from
    remarks: list[Fault] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def pooled(self) -> bool:
        """Whether any proxy may stand in for any other, so that one may be missing."""
        return self.order in _STRATEGIES

    @property
    def hops(self) -> int:
        """How many proxies a connection passes."""
        return self.length if self.pooled else len(self.urls)

    def remark(self, line: int | None, message: str) -> None:
        self.remarks.append(Fault("", message, line, self.file))

    def fault(self, line: int | None, message: str) -> None:
        self.faults.append(Fault("", message, line, self.file))


def convert(text: str, file: str = "") -> tuple[str, list[str]]:
    """The chain file for a configuration, and what its owner should know of the differences.

    Raises:
        ConfigError: with a fault for each line that makes no proxy; `file` is what they call the file.
    """
    found = _Found(file)
    read = _setting
    # Not splitlines: a password may hold what Unicode takes for the end of a line.
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip(_BLANK)
        if not line or line.startswith("#"):
            continue
        if read is _setting and line == "[ProxyList]":
            read = _proxy  # there is no way back: the list is the end of the file
        else:
            read(found, number, line)
    _count(found)
    written = "\n".join(_written(found))
    if not found.faults:
        for path, message in _read_back(written):
            found.fault(_line(found, path), message)
    if found.faults:
        raise ConfigError(found.faults)
    _compare(found)
    remarks = sorted(found.remarks, key=lambda remark: remark.line or sys.maxsize)
    return written, [str(remark) for remark in remarks]


def _setting(found: _Found, number: int, line: str) -> None:
    """One line above the list. Like proxychains, take a word that should be alone only where it is."""
    word, _, rest = _BLANKS.sub(" ", line).partition(" ")
    if line in _ORDERS:
        found.order, found.order_line = line, number
    elif line in ("proxy_dns", "proxy_dns_old") or word == "proxy_dns_daemon":
        found.dns = word
    elif line.startswith("chain_len"):
        _length(found, number, line)
    elif word in _TIMES:
        _time(found, number, word, rest)
    elif word == "localnet":
        _localnet(found, number, rest)
    elif word == "dnat":
        found.remark(number, _DNAT)
    elif line != "quiet_mode" and word != "remote_dns_subnet":  # neither has anything to do here
        found.remark(number, _UNKNOWN)


def _length(found: _Found, number: int, line: str) -> None:
    said = _LENGTH.fullmatch(line)
    if said:
        found.length, found.length_line = int(said[1]) or 1, number
    else:
        found.fault(number, "not a length that proxychains takes: write chain_len = 2")


def _time(found: _Found, number: int, word: str, rest: str) -> None:
    milliseconds, _, _ = rest.partition(" ")
    if _MILLISECONDS.fullmatch(milliseconds) and int(milliseconds):
        found.times[word] = int(milliseconds)
    else:
        found.remark(number, f"{word} takes milliseconds, at least 1: this line is left out")


def _localnet(found: _Found, number: int, rest: str) -> None:
    try:
        found.bypasses.append(_bypass(rest))
    except ValueError:
        found.remark(number, _NO_BYPASS)
    else:
        found.bypass_line = found.bypass_line or number


def _bypass(text: str) -> str:
    """`192.168.1.0:80/255.255.255.0`, `[::]:80/0` or `::1/128` as the target of a route."""
    said = _LOCALNET.fullmatch(text)
    if not said:
        raise ValueError("not an address and a mask")
    port, mask = said[4], said[5]
    network = ipaddress.ip_network(f"{said[1] or said[2] or said[3]}/{mask}", strict=False)
    # Python would also take 0.0.0.255 for what is not masked, and a mask with holes is no range.
    if "." in mask and mask != str(network.netmask):
        raise ValueError("not the mask of a range")
    if port is None or not int(port):  # to proxychains, 0 is any
        return str(network)
    return str(Rule(f"[{network}]:{port}" if network.version == 6 else f"{network}:{port}"))  # noqa: PLR2004 (IPv6)


def _proxy(found: _Found, number: int, line: str) -> None:
    """One line of the list: `type host port [user password]` or `type://[user:password@]host:port`."""
    kind, host, port, user, password = _parts(found, number, line)
    if kind not in _KINDS:
        _foreign(found, number, kind)
        return
    try:
        endpoint = Endpoint(parse_host(host), parse_port(port))
    except Refused as error:
        found.fault(number, f"{error.detail}: write type host port, such as socks5 127.0.0.1 9050")
        return
    login = ""
    if kind == "socks4" and password:
        found.remark(number, "SOCKS4 has no password: only the user name is carried over")
    if kind == "socks4" and user:
        login = f"{quote(user, safe='')}@"
    elif kind != "socks4" and (user or password):
        # Like proxychains, which sends an empty password where there is none.
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@"
        found.password_line = found.password_line or number
    found.urls.append(f"{kind}://{login}{endpoint}")
    found.lines.append(number)


def _parts(found: _Found, number: int, line: str) -> tuple[str, str, str, str, str]:
    """The type, host, port, user and password of a line, each "" where it is not there."""
    if said := _URL.fullmatch(line):
        kind, user, password, host, port = said.groups(default="")
        return kind, host, port, user, password
    kind, host, port, user, password, *more = [*_BLANKS.split(line), "", "", "", ""]
    if user.startswith("#"):
        found.remark(number, "what follows # is taken for a comment; proxychains would log in with it")
        user = password = ""
    elif any(more):
        found.remark(number, "what follows the password is left out; proxychains does not read it either")
    return kind, host, port, user, password


def _foreign(found: _Found, number: int, kind: str) -> None:
    said = "anongw has no raw proxies" if kind == "raw" else "no socks5, socks4 or http proxy"
    if found.pooled:
        found.remark(number, f"{said}: this line is left out of the pool")
    else:
        found.fault(
            number, f"{said}; without it the chain is shorter: if that is meant, take the line out yourself"
        )


def _count(found: _Found) -> None:
    if len(found.urls) > PROXIES_MOST:
        found.fault(None, f"proxychains reads {PROXIES_MOST} proxies and no more: shorten the list")
    elif not found.urls and not found.faults:
        found.fault(None, _NO_PROXY)


def _read_back(written: str) -> Iterator[Found]:
    """What is wrong with the result as a chain. Whose listeners it will be used with is not known here."""
    wrong: list[Found] = []
    chain = Tables(wrong, lambda _: Path()).read(Chain, tomllib.loads(written), ())
    yield from wrong
    if not wrong:
        config = Config(listen=Listen(addresses=()), chains={_NAME: chain}, route=(Route(to=_NAME),))
        yield from ((path[2:], message) for path, message in crossed_chains(config))


def _line(found: _Found, path: faults.Path) -> int | None:
    """The line that is the cause of what stands at a path of the result."""
    match path:
        case ("hop", _, "urls", int(place)):
            return found.lines[place]
        case ("hop", _, "pick"):
            return found.length_line
        case ("hop", int(place), *_) if not found.pooled:
            return found.lines[place]
    return found.order_line


def _compare(found: _Found) -> None:
    """What is not the same as it was."""
    if found.order == "dynamic_chain" and len(found.urls) > 1:
        found.remark(found.order_line, _DYNAMIC if found.order_line else f"{_UNORDERED} {_DYNAMIC}")
    if found.order == "round_robin_chain" and found.length > 1:
        found.remark(found.order_line, _ROUND_ROBIN)
    if not found.dns:
        found.remark(None, _LOOKED_UP)
    if found.dns == "proxy_dns_old":
        found.remark(None, _LOOKED_UP_FAR)
    if found.bypasses:
        found.remark(found.bypass_line, _BYPASS)
    if found.password_line:
        found.remark(found.password_line, _PASSWORDS)


def _written(found: _Found) -> Iterator[str]:
    yield "# A chain for anongw, from a configuration of proxychains. To try it: anongw serve --chain FILE"
    yield ""
    yield "# The names of targets travel to the last proxy; this machine looks none of them up."
    yield 'names = "exit"'
    yield ""
    if found.times:
        yield from _times(found)
    if found.password_line:
        yield "# With passwords in it, only its owner may be able to read this file (chmod 600)."
        yield ""
    yield from _pool(found) if found.pooled else _in_order(found)
    if found.bypasses:
        yield from _commented(found.bypasses)


def _times(found: _Found) -> Iterator[str]:
    connect, read = (found.times.get(name, default) for name, default in _TIMES.items())
    yield "# tcp_connect_time_out and tcp_read_time_out: a hop may take the longer of them,"
    yield "# and the whole way one connect and an answer of every hop."
    yield f"hop_timeout = {json.dumps(duration_text(max(connect, read) / 1000))}"
    yield f"timeout = {json.dumps(duration_text((connect + found.hops * read) / 1000))}"
    yield ""


def _in_order(found: _Found) -> Iterator[str]:
    if len(found.urls) > 1:
        yield "# Through all of these, in this order, or not at all."
    for url in found.urls:
        yield "[[hop]]"
        yield f"url = {json.dumps(url)}"
        yield ""


def _pool(found: _Found) -> Iterator[str]:
    yield f"# {found.order}: for every connection, {found.length} of these."
    yield "[[hop]]"
    yield "urls = ["
    yield from (f"  {json.dumps(url)}," for url in found.urls)
    yield "]"
    yield f"strategy = {json.dumps(_STRATEGIES[found.order])}"
    yield f"pick = {found.length}"
    yield "# As with proxychains, the next connection goes another way. Sites log out whoever comes from"
    yield "# elsewhere each time: without this line you keep to the same proxies for a while."
    yield "sticky = 0"
    yield ""


def _commented(bypasses: list[str]) -> Iterator[str]:
    yield "# localnet: proxychains went to these without any proxy, which shows them your address. If you"
    yield "# mean that, it is a rule of anongw.toml, above the one that sends the rest here; private ranges"
    yield "# have to be in policy.allow_private as well."
    yield "#[[route]]"
    yield f"#target = {json.dumps(bypasses)}"
    yield '#to = "direct"'
    yield ""
