"""What no single value of a config shows: listeners open to the world, misspelt names, odd limits.

Pure; each fault says how to mend it.
"""

from collections.abc import Iterator

import msgspec

from anongw.address import Endpoint
from anongw.config import faults
from anongw.config.cross_chains import crossed_chains
from anongw.config.faults import Found
from anongw.config.sections import Config
from anongw.config.values import Seconds, parse_listen, parse_name

# Durations of which none means none of it: no end, no linger, stop at once, do not keep, do not remember.
_MAY_BE_NOTHING = frozenset({"whole", "linger", "shutdown", "upstream_idle", "ttl_most", "negative_most"})
# RFC 1929 §2: ULEN is one octet. RFC 7617 §2: a user-id with a colon cannot be told from its password.
_USER_NAME_MOST = 255
# Each takes 30 MB and a share of the limits, and no machine has use for more.
_WORKERS_MOST = 256
# unix(7): sun_path has 108 bytes, of which the last is a NUL.
_SOCKET_PATH_MOST = 107


def crossed(config: Config) -> Iterator[Found]:
    """Every fault between the values of a config."""
    yield from _listeners(config)
    yield from _limits(config)
    for name in config.users:
        if not 0 < len(name.encode()) <= _USER_NAME_MOST or ":" in name:
            yield ("users", name), f"a user's name has 1 to {_USER_NAME_MOST} bytes and no colon"
    if not config.resolve.servers:
        yield ("resolve", "servers"), 'name at least one server, or "system"'
    for section, names in (("zones", config.resolve.zones), ("hosts", config.resolve.hosts)):
        for name in names:
            yield from _canonical(("resolve", section, name), name)
    for name, addresses in config.resolve.hosts.items():
        for place, text in enumerate(addresses):
            yield from _address(("resolve", "hosts", name, place), text)
    yield from _identities(config)
    yield from _control(config.control.socket)
    yield from crossed_chains(config)


def is_loopback(address: Endpoint) -> bool:
    """Whether only this machine reaches a listener."""
    return not isinstance(address.host, str) and address.host.is_loopback


def _listeners(config: Config) -> Iterator[Found]:
    if not config.listen.addresses:
        yield ("listen", "addresses"), "name at least one address"
    if config.listen.workers > _WORKERS_MOST:
        yield ("listen", "workers"), f"at most {_WORKERS_MOST}: one for each core that is to spare"
    guarded = config.users or config.listen.clients
    for place, text in enumerate(config.listen.addresses):
        path: faults.Path = ("listen", "addresses", place)
        try:
            address = parse_listen(text)
        except ValueError as error:
            yield path, str(error)
            continue
        if isinstance(address, Endpoint) and not is_loopback(address) and not guarded:
            message = (
                f"other machines can reach {text} and would use it as theirs: add [users] (`anongw passwd`), "
                'or name its clients, listen.clients = ["192.168.1.0/24"], or listen on 127.0.0.1'
            )
            yield path, message


def _limits(config: Config) -> Iterator[Found]:
    limits = config.limits
    if limits.connections and limits.per_client > limits.connections:
        yield ("limits", "per_client"), f"is more than limits.connections, which is {limits.connections}"
    for name, section in (("limits", limits), ("resolve", config.resolve)):
        for field in msgspec.structs.fields(section):
            nothing = field.type == Seconds and not getattr(section, field.name)
            if nothing and field.name not in _MAY_BE_NOTHING:
                yield (name, field.name), "must be longer than nothing"


def _control(socket: str) -> Iterator[Found]:
    if socket in ("auto", "off"):
        return
    if not socket.startswith("/") or "\0" in socket or len(socket.encode()) > _SOCKET_PATH_MOST:
        yield (
            ("control", "socket"),
            f'write "auto", "off" or an absolute path of up to {_SOCKET_PATH_MOST} bytes',
        )


def _identities(config: Config) -> Iterator[Found]:
    for name in config.identities:
        if config.users and name not in config.users:
            yield ("identities", name), "there is no such user in [users], so that nobody is this identity"


def _canonical(path: faults.Path, name: str) -> Iterator[Found]:
    try:
        host = parse_name(name)
    except ValueError as error:
        yield path, str(error)
        return
    if not isinstance(host, str):
        yield path, "must be a name, not an address"
    elif host != name:
        yield path, f'write "{host}"'


def _address(path: faults.Path, text: str) -> Iterator[Found]:
    try:
        if not isinstance(parse_name(text), str):
            return
    except ValueError:
        pass
    yield path, f"{text!r} is not an address"
