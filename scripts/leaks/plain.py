"""Rows about plain HTTP: what of a request reaches the origin, and what the client is told."""

import base64
import re
from collections.abc import Sequence

from anongw.audit.canaries import HEADERS, NAMING, PASSWORD, USER
from scripts.leaks import places
from scripts.leaks.cell import Cell, of, these, yes_or_no
from scripts.leaks.scene import Scene

_AUTHORITY = f"origin.{places.ZONE}"
_BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
_COOKIE = "canary-cookie"
_FORWARDING = (
    "X-Forwarded-For",
    "Forwarded",
    "Via",
    "X-Real-IP",
    "Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
)
_PERSONAL = (
    "User-Agent",
    "Accept-Language",
    "Sec-CH-UA",
    "DNT",
    "X-Client-Data",
    "X-UIDH",
    "Traceparent",
    "From",
)
_SENT = (*HEADERS, "Host", "Cookie", "Proxy-Authorization", "Accept", "Accept-Encoding")
# What belongs to a single connection, or says when: no proxy's mark.
_UNREMARKABLE = {"connection", "keep-alive", "date", "transfer-encoding", "content-length"}
_FAR = ("far-407", "elsewhere")


def request(path: str, *lines: str, method: str = "GET", host: str = _AUTHORITY) -> bytes:
    whole = (f"{method} http://{host}/{path} HTTP/1.1", f"Host: {host}", *lines)
    return "\r\n".join((*whole, "", "")).encode()


def _planted() -> bytes:
    """With everything that tells a client, in one request."""
    named = f"Connection: {NAMING}, close"
    login = f"proxy-authorization: Basic {_BASIC}"
    return request(
        "page", *(f"{key}: {text}" for key, text in HEADERS.items()), named, login, f"Cookie: {_COOKIE}=1"
    )


def _names(head: bytes) -> list[str]:
    lines = head.split(b"\r\n\r\n", 1)[0].split(b"\r\n")[1:]
    return [line.split(b":", 1)[0].decode(errors="replace") for line in lines]


def _more(head: bytes, known: Sequence[str]) -> list[str]:
    """Header names that are in it and not among the known."""
    usual = {name.lower() for name in known} | _UNREMARKABLE
    return sorted({name for name in _names(head) if name.lower() not in usual}, key=str.lower)


def requests(scene: Scene) -> dict[str, Cell]:
    mark = scene.mark()
    scene.ask(_planted())
    scene.worked(mark)
    heard = mark.heard
    passed = {name for name, value in HEADERS.items() if value.encode().lower() in heard.lower()}
    own = _own(scene, heard)
    return {
        "the client's address is written into the request": yes_or_no(places.CLIENT.encode() in heard),
        "the proxy's name, version or host name": these(own),
        "headers that it adds": these(_more(heard, _SENT)),
        "addresses in the client's X-Forwarded-For, Forwarded, Via, ...": _some(_FORWARDING, passed),
        "User-Agent, language, client hints, DNT, From, ...": _some(_PERSONAL, passed),
        "Referer of another site": yes_or_no("Referer" in passed),
        "If-None-Match, a cookie set by the server": yes_or_no("If-None-Match" in passed),
        "Proxy-Authorization: the password for the proxy": yes_or_no(_BASIC.encode() in heard),
        "Proxy-Connection, Keep-Alive": _some(("Proxy-Connection", "Keep-Alive"), passed),
        "a header that Connection names": yes_or_no("X-Canary-Named" in passed),
    }


def _some(names: Sequence[str], passed: set[str]) -> Cell:
    return of(sum(name in passed for name in names), len(names))


def _own(scene: Scene, said: bytes) -> list[str]:
    """What it says of itself."""
    text = said.lower()
    product = re.escape(scene.peer.product.encode())
    told = {"name": product, "version": product + rb"[ /]v?\d", "host name": places.MACHINE.encode()}
    return [what for what, form in told.items() if re.search(form, text)]


def shared(scene: Scene) -> dict[str, Cell]:
    """Two users, one after the other, each on a connection of its own to the proxy."""
    for user in ("first", "second"):
        login = base64.b64encode(f"{user}:x".encode()).decode()
        scene.ask(request(f"of-{user}", f"Proxy-Authorization: Basic {login}"))
    # A connection that the proxy has kept from before counts as well.
    both = any(b"/of-first" in one.heard and b"/of-second" in one.heard for one in scene.origin.seen)
    return {"two users' requests share a connection to the origin": yes_or_no(both)}


def answers(scene: Scene) -> dict[str, Cell]:
    plain = scene.ask(request("page", "Connection: close"))
    far, elsewhere = (scene.ask(request(path, "Connection: close")) for path in _FAR)
    return {
        "headers that it adds to answers": these(_more(plain, [])),
        "Alt-Svc of an answer, which leads past the proxy": yes_or_no(b"alt-svc" in elsewhere.lower()),
        "a far server's demand for the proxy's password": yes_or_no(b"proxy-authenticate" in far.lower()),
    }


def errors(scene: Scene) -> dict[str, Cell]:
    """Of a target that refuses, asked for by its address."""
    said = scene.ask(request("", "Connection: close", host=f"{places.CLOSED}:{places.WEB}"))
    told = _own(scene, said)
    addresses = {
        "client's address": places.CLIENT,
        "own address": places.GATEWAY,
        "outer address": places.GATEWAY_OUTSIDE,
        "target": places.CLOSED,
    }
    told += [what for what, form in addresses.items() if form.encode() in said]
    return {"an error page tells": these(told)}
