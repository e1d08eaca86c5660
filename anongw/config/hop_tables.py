"""A `[[hop]]` table as it is written, and how it becomes a position: one member, or many with common keys.

The only place that reads what a chain's file points to: passwords, in the environment and in files.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from anongw.address import parse_host
from anongw.config import faults
from anongw.config.faults import Found
from anongw.config.hops import Hop, HopUrl, Isolation, Member, Scheme, Strategy, parse_pin
from anongw.config.logins import Key, login_fault
from anongw.config.secrets import from_environment, from_file
from anongw.config.values import AtLeastOne, Count, Seconds, Secret
from anongw.errors import Refused

_WITH_PASSWORD: tuple[Scheme, ...] = ("socks5", "http", "https")
# Which hops a key means something to.
_TAKERS: dict[str, tuple[Scheme, ...]] = {
    "user": ("socks5", "socks4", "http", "https"),
    "password_env": _WITH_PASSWORD,
    "password_file": _WITH_PASSWORD,
    "ca_file": ("https",),
    "pin": ("https",),
    "server_name": ("https",),
    "isolation": ("socks5", "socks4", "http", "https"),
}
_NOTHING = ("", "off")
_PASSWORDS = frozenset({"password_env", "password_file"})


class MemberTable(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One upstream proxy of a pool, `[[hop.member]]`."""

    url: HopUrl | None = None
    """"socks5://HOST:PORT", socks4a, http or https, or "direct" alone; with a login "socks5://USER:PASSWORD@...",
    other signs than letters and digits percent-encoded (@ as %40). A socks port may be left out: 1080. Names
    always travel to the hop. Let nobody else read a file that holds a password (chmod 600):

        url = "socks5://127.0.0.1:9050"
    """

    user: str = ""
    """The user, instead of in the url. "{token}" inside becomes random letters for each identity, and many
    providers give each an exit of its own by it: "alice-session-{token}"."""

    password_env: str = ""
    """The environment variable that holds the password."""

    password_file: str = ""
    """The file that holds it, relative to this one. Only its owner may be able to read it (chmod 600)."""

    ca_file: str = ""
    """https: certificates that may vouch for the hop, as a PEM file, relative to this one; empty: the
    system's."""

    pin: str = ""
    """https: the hop's key, "sha256/..." (base64 of the SHA-256 of its SubjectPublicKeyInfo). No other key is
    taken then, and no authority's word."""

    server_name: str = ""
    """https: the name that the certificate must bear, where it is not the url's host."""

    isolation: Isolation = "off"
    """What keeps identities apart at the hop: "off", nothing; "auth", a login of random letters for each, for
    proxies that tell circuits or exits apart by it; "tor", the same as Tor wants to have it."""


class HopTable(MemberTable, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One position of a chain: a `url`, or a pool of them in `urls` or as [[hop.member]] tables.

    The keys of a member stand here too: in a pool they are for each member that has none of its own.
    """

    urls: tuple[HopUrl, ...] = ()
    """A pool, such as ["socks5://192.0.2.1", "https://proxy.example:443"]."""

    member: tuple[MemberTable, ...] = ()
    """A pool whose members have keys of their own: [[hop.member]] tables, each with a url."""

    strategy: Strategy = "fail-over"
    """Who of a pool is taken: "fail-over", the first that is up; "round-robin", each in turn; "random"; or
    "least-used", the one with the fewest connections."""

    pick: AtLeastOne = 1
    """So many different members one behind the other, in random order."""

    sticky: Seconds = 600.0
    """How long an identity keeps its member, so that a site sees one exit for a visit; 0: not at all. With
    "fail-over" nobody keeps one: the first that is up is everybody's."""

    sticky_count: Count = 0
    """For how many connections it keeps it; 0: any number."""


class _Written(NamedTuple):
    """One member as it is written: its keys, where it stands, and where each of its keys does."""

    keys: MemberTable
    place: faults.Path
    at: dict[str, faults.Path]


def settled(table: HopTable, here: faults.Path, folder: Path, found: list[Found]) -> Hop:
    """The position that a table describes; what is wrong with it goes to `found`.

    Args:
        table: each of its values is right by itself.
        here: where it stands.
        folder: what its file names are relative to.
        found: faults.

    """
    if (table.url is not None) + bool(table.urls) + bool(table.member) != 1:
        found.append((here, "write one of url, urls (a pool) and [[hop.member]] tables (one with keys)"))
        return Hop(members=())
    found.extend(_idle(table, here))
    members = [_member(one, folder, found) for one in _members(table, here)]
    return Hop(
        members=tuple(member for member in members if member),
        strategy=table.strategy,
        pick=table.pick,
        sticky=table.sticky,
        sticky_count=table.sticky_count,
    )


def _members(table: HopTable, here: faults.Path) -> Iterator[_Written]:
    hop_at = {key: (*here, key) for key in _TAKERS}
    if table.url is not None:
        yield _Written(table, (*here, "url"), hop_at)
    for number, url in enumerate(table.urls):
        yield _Written(_with_common(MemberTable(url=url), table), (*here, "urls", number), hop_at)
    for number, member in enumerate(table.member):
        place = (*here, "member", number)
        at = {key: (*place, key) if _is_set(member, key) else hop_at[key] for key in _TAKERS}
        yield _Written(_with_common(member, table), (*place, "url"), at)


def _with_common(member: MemberTable, table: HopTable) -> MemberTable:
    """A pool's member with the pool's keys, where it has none of its own and they mean something to it."""
    url = member.url
    if url is None:
        return member
    has = {key for key in _TAKERS if _is_set(member, key)}
    if url.user is not None:
        has.add("user")
    if url.password is not None or has & _PASSWORDS:
        has |= _PASSWORDS
    common = {
        key: getattr(table, key)
        for key, takers in _TAKERS.items()
        if key not in has and url.scheme in takers and _is_set(table, key)
    }
    return msgspec.structs.replace(member, **common)


def _idle(table: HopTable, here: faults.Path) -> Iterator[Found]:
    """Keys of a pool that mean nothing to any of its members."""
    if table.url is not None:
        return  # `_member` says so of each
    urls = [*table.urls, *(member.url for member in table.member)]
    for key, takers in _TAKERS.items():
        if _is_set(table, key) and not any(url is not None and url.scheme in takers for url in urls):
            yield (*here, key), f"means nothing to any member: it is for {', '.join(takers)}"


def _member(written: _Written, folder: Path, found: list[Found]) -> Member | None:
    keys, place, at = written
    url = keys.url
    if url is None:
        found.append((place, 'is missing: write url = "socks5://HOST:PORT"'))
        return None
    before = len(found)
    for key, takers in _TAKERS.items():
        if _is_set(keys, key) and url.scheme not in takers:
            found.append((at[key], f"means nothing to {url.scheme}: it is for {', '.join(takers)}"))
    if len(found) > before:
        return None
    found.extend(_certificate_faults(keys, at, folder))
    user, password = _login(keys, url, at, folder, found)
    if len(found) > before:
        return None  # what follows from a key that is wrong would be wrong as well
    if wrong := login_fault(url.scheme, user, password, keys.isolation):
        found.append((_blamed(wrong[0], written), wrong[1]))
    return Member(
        url=url,
        user=user,
        password=password,
        ca_file=str(folder / keys.ca_file) if keys.ca_file else "",
        pin=keys.pin,
        server_name=keys.server_name,
        isolation=keys.isolation,
    )


def _login(
    keys: MemberTable, url: HopUrl, at: dict[str, faults.Path], folder: Path, found: list[Found]
) -> tuple[str | None, Secret | None]:
    """Its user and password, from wherever they are."""
    if keys.user and url.user is not None:
        found.append((at["user"], "stands in the url as well: keep one of them"))
    given = sorted(key for key in _PASSWORDS if _is_set(keys, key))
    if len(given) + (url.password is not None) > 1:
        found.append((at[given[0]], "is a second password: keep one of url, password_env and password_file"))
        return None, None
    password = url.password
    try:
        if keys.password_env:
            password = from_environment(keys.password_env)
        elif keys.password_file:
            password = from_file(folder / keys.password_file)
    except ValueError as error:
        found.append((at[given[0]], str(error)))
    return (keys.user or url.user), password


def _blamed(key: Key, written: _Written) -> faults.Path:
    """Where the user or password that is wrong stands; where it is missing, the url."""
    for name in ("password_env", "password_file") if key == "password" else (key,):
        if _is_set(written.keys, name):
            return written.at[name]
    return written.place


def _certificate_faults(keys: MemberTable, at: dict[str, faults.Path], folder: Path) -> Iterator[Found]:
    if keys.pin:
        try:
            parse_pin(keys.pin)
        except ValueError as error:
            yield at["pin"], str(error)
        if keys.ca_file:
            yield at["ca_file"], "is not asked where there is a pin: keep one of them"
    if keys.ca_file and not _readable(folder / keys.ca_file):
        yield at["ca_file"], f"{str(folder / keys.ca_file)!r} is no file that can be read"
    if keys.server_name and _name(keys.server_name) != keys.server_name:
        yield at["server_name"], "is no host name in lower-case ASCII, without a dot at its end"


def _readable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.R_OK)


def _name(text: str) -> str:
    try:
        host = parse_host(text)
    except Refused:
        return ""
    return host if isinstance(host, str) else ""


def _is_set(table: MemberTable, key: str) -> bool:
    return getattr(table, key) not in _NOTHING
