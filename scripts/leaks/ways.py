"""Rows about names, SOCKS, targets that nobody may reach, and requests that can be read in two ways."""

from anongw.audit.corpus import SMUGGLING
from anongw.lab.capture import UDP
from scripts.leaks import places
from scripts.leaks.cell import Cell, of, these, yes_or_no
from scripts.leaks.plain import request
from scripts.leaks.scene import Scene

_DNS = 53
_GET = b"GET /%b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
# The ways in which a client may write the machine that the proxy runs on, and a cloud's metadata service.
_PRIVATE = (places.LOOPBACK, "127.1", "2130706433", "0x7f000001", "localhost", places.METADATA)
_ZEROS = bytes(4)


def _connect(host: str, port: int = places.WEB) -> bytes:
    return f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()


def _visit(scene: Scene, host: str) -> None:
    """In each way that it speaks."""
    if scene.peer.http:
        scene.ask(request("private", "Connection: close", host=host))
        scene.ask(_connect(host), _GET % b"private")
    if scene.peer.socks:
        scene.tunnel(host, _GET % b"private")


def names(scene: Scene) -> dict[str, Cell]:
    """A name that nobody has asked for before: who on the line can read it."""
    asked = f"www-{scene.peer.product.replace('.', '-')}.{places.ZONE}"
    mark = scene.mark()
    _visit(scene, asked)
    in_the_clear = any(
        packet.target_port == _DNS and asked.split(".", maxsplit=1)[0].encode() in packet.payload.lower()
        for packet in scene.packets()
        if packet.protocol == UDP or packet.payload
    )
    scene.worked(mark)
    system = any(server == places.RESOLVER and name == asked for server, name in mark.asked)
    return {
        "names are asked of the machine's resolver": yes_or_no(system),
        "names are asked in the clear": yes_or_no(in_the_clear),
    }


def socks(scene: Scene) -> dict[str, Cell]:
    if not scene.peer.socks:
        return {}
    mark = scene.mark()
    done = scene.tunnel(places.ORIGIN, _GET % b"socks")
    refused = scene.tunnel(places.CLOSED, b"")
    ports = [seen.peer[1] for seen in mark.connections]
    return {
        "SOCKS: the reply tells the proxy's own address": these(
            [_bound(done.reply)] if _bound(done.reply) else []
        ),
        "SOCKS: the origin sees the client's own port": yes_or_no(done.port in ports),
        "success is said before the target has answered": yes_or_no(refused.reply[1:2] == b"\x00"),
    }


def _bound(reply: bytes) -> str:
    """BND.ADDR, where it is an IPv4 address and not zero."""
    address = reply[4:8]
    if reply[3:4] != b"\x01" or address == _ZEROS:
        return ""
    return {places.GATEWAY: "inner", places.GATEWAY_OUTSIDE: "outer", places.ORIGIN: "target's"}.get(
        ".".join(map(str, address)), ".".join(map(str, address))
    )


def early(scene: Scene) -> dict[str, Cell]:
    if not scene.peer.http or scene.peer.socks:
        return {}
    said = scene.ask(_connect(places.CLOSED))
    return {"success is said before the target has answered": yes_or_no(b" 200 " in said[:16])}


def targets(scene: Scene) -> dict[str, Cell]:
    reached = 0
    for host in _PRIVATE:
        mark = scene.mark()
        _visit(scene, host)
        reached += mark.reached
    mark = scene.mark()
    _visit(scene, places.REBOUND)
    return {
        "its own machine and a cloud's metadata are reached": of(reached, len(_PRIVATE)),
        "a name that leads to its own machine is followed": yes_or_no(mark.reached),
    }


def ambiguous(scene: Scene) -> dict[str, Cell]:
    if not scene.peer.http:
        return {}
    authority = f"origin.{places.ZONE}".encode()
    found = whole = 0
    for requests in SMUGGLING.values():
        for raw in requests:
            mark = scene.mark()
            scene.overhear(raw.replace(b"%b", authority))
            whole += 1
            found += b"/smuggled" in mark.heard
    return {"ambiguous requests: what hides behind one arrives": of(found, whole)}
