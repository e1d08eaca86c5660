"""Scenarios of what clients may want: by every protocol and route, in plain HTTP, and where nobody may go."""

import ipaddress
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Final

from anongw.audit import asking, corpus
from anongw.audit.asking import BIND, UDP_ASSOCIATE
from anongw.audit.canaries import HEADERS
from anongw.audit.mapping import ORIGIN, ORIGIN_6
from anongw.audit.scenario import Scenario, known
from anongw.audit.scene import Scene
from anongw.audit.ways import Errand, by_listener, permitted
from anongw.config import Config, Spoken
from anongw.lab.origin import BODY

_TITLES: Final[dict[Spoken, str]] = {
    "socks5": "SOCKS5",
    "socks4": "SOCKS4a",
    "connect": "CONNECT",
    "http": "plain HTTP",
}
# What an origin says that a client must not be told: the paths at which it does are asked for.
_NOT_PASSED: Final = (
    b"alt-svc",
    b'realm="planted"',
    b"rel=preconnect",
    b"rel=preload",
    b"accept-ch",
    b"nel:",
)


# Every protocol in

# The paths of two users' requests.
_OF_TWO: Final = ("/canary-first-user", "/canary-second-user")


def protocols(config: Config, main: Errand) -> Iterator[Scenario]:
    for spoken in main.protocols:
        certain = known(config, main, spoken)
        yield Scenario(f"{_TITLES[spoken]} to a name", partial(_asks, main, spoken, "", expect=certain))
        if main.literal or main.exact:
            continue
        yield Scenario(f"{_TITLES[spoken]} to an IPv4 address", partial(_asks, main, spoken, ORIGIN))
        if spoken != "socks4":
            yield Scenario(f"{_TITLES[spoken]} to an IPv6 address", partial(_asks, main, spoken, ORIGIN_6))


def _asks(errand: Errand, spoken: Spoken, host: str, scene: Scene, *, expect: bool | None = None) -> None:
    if host and not permitted(scene.config, host, errand.port):
        expect = False
    scene.ask(errand, spoken, host=host, expect=expect)


def routes(config: Config, errands: list[Errand], main: Errand) -> Iterator[Scenario]:
    for errand in errands:
        if errand is not main:
            yield Scenario(f"route {errand.number + 1}, to {errand.to}", partial(_every, config, errand))


def listeners(config: Config, main: Errand) -> Iterator[Scenario]:
    """Those beside the one that most scenarios come to."""
    for number, text in enumerate(config.listen.addresses):
        if text != main.listener:
            errand = by_listener(config, main, text)
            name = f"listener {number + 1}, {text if not text.startswith('unix:') else 'a Unix socket'}"
            yield Scenario(name, partial(_every, config, errand))


def _every(config: Config, errand: Errand, scene: Scene) -> None:
    for spoken in errand.protocols:
        if not (spoken == "socks4" and ":" in errand.suffix):
            scene.ask(errand, spoken, expect=known(config, errand, spoken))


# Plain HTTP, and what is none


def plain(main: Errand) -> Iterator[Scenario]:
    if "http" in main.protocols:
        yield Scenario("two requests on one connection, of two users", partial(_two_users, main))
        for dressed, dress in corpus.DRESSES.items():
            yield Scenario(f"headers: {dressed}", partial(_headed, main, dress))
        for name, path in (
            ("the origin asks for a proxy's password", "/far-407"),
            ("the origin sends elsewhere (Alt-Svc, Link, NEL)", "/elsewhere"),
            ("the origin hints early (103)", "/hints"),
            ("the origin sends trailers", "/trailers"),
        ):
            yield Scenario(name, partial(_answered, main, path))
        for kind, requests in corpus.SMUGGLING.items():
            yield Scenario(f"smuggling: {kind}", partial(_smuggles, main, requests))
    yield Scenario("what is no protocol of its", partial(_nonsense, main))
    if "socks5" in main.protocols:
        yield Scenario("UDP is asked for", partial(_other, main, UDP_ASSOCIATE))
        yield Scenario("BIND is asked for", partial(_other, main, BIND))


def _headed(main: Errand, dress: Callable[[bytes], bytes], scene: Scene) -> None:
    host = scene.name(main)
    scene.expects(main, host, main.port)
    plain = asking.get(host, main.port, scene.login(main), HEADERS)
    with scene.connected(main) as line:
        asking.web(line, dress(plain))


def _two_users(main: Errand, scene: Scene) -> None:
    """One after the other on one connection, for one host: neither may go where the other has been."""
    logins = scene.two_logins(main)
    if len(logins) < len(_OF_TWO):
        scene.leaves_out("there is one user whose way this is, and no second one")
        return
    host = scene.name(main)
    scene.expects(main, host, main.port)
    with scene.connected(main) as line:
        for path, login in zip(_OF_TWO, logins, strict=True):
            line.say(asking.get(host, main.port, login, HEADERS, path, last=path == _OF_TWO[-1]))
            head = line.head()
            if b" 200 " not in head:
                scene.claim("served", not main.arrives, "a request on a kept connection is not carried")
                return
            line.more(_length(head))
    _judge_apart(scene)


def _judge_apart(scene: Scene) -> None:
    first, second = (path.encode() for path in _OF_TWO)
    for heard in scene.world.origin_connections():
        both = first in heard and second in heard
        scene.claim("identities", not both, "two users share a connection to a target")
    for hop in scene.world.hops.values():
        # Where logins are not the config's own, they are tokens; else all users have the same.
        tokens = [
            {(seen.user, seen.password) for seen in hop.seen if path in seen.heard and seen.user is not None}
            for path in (first, second)
        ]
        shared = not hop.users and tokens[0] & tokens[1]
        scene.claim("identities", not shared, f"two users have the same token at {hop.place[0]}")


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _answered(main: Errand, path: str, scene: Scene) -> None:
    scene.ask(main, "http", path=path)
    told = b"\n".join(scene.heard()).lower()
    for word in _NOT_PASSED:
        scene.claim("answers", word not in told, f"a client is told {word.decode()} of an origin's")


def _smuggles(main: Errand, requests: tuple[bytes, ...], scene: Scene) -> None:
    for request in requests:
        host = scene.name(main)
        scene.expects(main, host, main.port)
        scene.raw(main, _addressed(request, host, main.port, scene, main))


def _nonsense(main: Errand, scene: Scene) -> None:
    for raw in corpus.NONSENSE:
        scene.raw(main, raw.replace(b"%b", b"canary-nobody.example"))


def _addressed(request: bytes, host: str, port: int, scene: Scene, errand: Errand) -> bytes:
    """With the target's authority, and the login behind each Host line, without which nothing is judged."""
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    proof = f"\r\nProxy-Authorization: {scene.login(errand).basic}".encode()
    first = b"Host: %b" if b"Host: %b\r\n" in request else b""
    with_proof = request.replace(first, first + proof) if first else request
    return with_proof.replace(b"%b", authority.encode())


def _other(main: Errand, command: int, scene: Scene) -> None:
    with scene.connected(main) as line:
        granted = asking.socks5_other(line, command, ORIGIN, main.port, scene.login(main))
    scene.claim("served", not granted, "it is granted, and nothing is there that could carry it")


def private(config: Config, main: Errand) -> Iterator[Scenario]:
    for kind, targets in corpus.PRIVATE.items():
        wanted = [one for one in targets if not _let_in(config, one)]
        yield Scenario(f"private targets: {kind}", partial(_refused, main, wanted))


def _let_in(config: Config, target: str) -> bool:
    """Whether the config lets clients go there all the same, or says what it is."""
    with suppress(ValueError):
        address = ipaddress.ip_address(target)
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in one.network for one in config.policy.allow_private)
    names = (*config.resolve.zones, *config.resolve.hosts)
    loopback = any(one.network.is_loopback for one in config.policy.allow_private)
    return loopback or any(f".{target}".endswith(f".{one}") for one in names)


def _refused(main: Errand, targets: list[str], scene: Scene) -> None:
    for target in targets:
        for spoken in main.protocols:
            if spoken == "socks4" and ":" in target:
                continue
            with scene.connected(main) as line:
                login = scene.login(main)
                if spoken == "http":
                    carried = BODY in asking.web(line, asking.get(target, main.port, login, {}))
                else:
                    carried = asking.tunnel(line, spoken, target, main.port, login) and line.pings()
            scene.claim("served", not carried, f"{spoken} to {target} is carried, and must not be")
