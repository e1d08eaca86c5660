"""The table of what a hop of a chain may do wrong, and what a client of the gateway is told then.

Each fault has the reason that the gateway gives where the hop is the only one; "" where it works all the
same. The bytes are written out here and not taken from the gateway.
"""

from typing import Literal

from anongw.lab.hop_script import Fault, Manner, Phase
from tests.support.asks import http_head, socks4_reply, socks5_reply

Protocol = Literal["socks5", "socks4", "http", "https"]
PROTOCOLS: tuple[Protocol, ...] = ("socks5", "socks4", "http", "https")

# Said by a hop that works, of the target: no other is tried, so that not every exit learns of it.
OF_THE_TARGET = frozenset(
    {"connection-refused", "host-unreachable", "network-unreachable", "connect-timeout", "hop-refused"}
)

_SSH = b"SSH-2.0-OpenSSH_9.2\r\n"
_WEB = b"HTTP/1.1 400 Bad Request\r\n\r\n"

_SAYS_SOMETHING: dict[str, tuple[Phase, ...]] = {
    "socks5": (Phase.METHOD, Phase.LOGIN, Phase.REPLY),
    "socks4": (Phase.REPLY,),
    "http": (Phase.REPLY,),
    "https": (Phase.REPLY,),
}

_SOCKS5_REPLIES = {
    0x01: "host-unreachable",  # a general failure: nobody knows whose
    0x02: "hop-refused",
    0x03: "network-unreachable",
    0x04: "host-unreachable",
    0x05: "connection-refused",
    0x06: "connect-timeout",
    0x07: "hop-refused",
    0x08: "hop-refused",
    0x09: "hop-malformed",
    0xF0: "host-unreachable",  # Tor's, as are the next seven
    0xFF: "hop-malformed",
}
_SOCKS5 = {
    # RFC 1928 §3: only the method that was on offer is one.
    "wants no login": (Fault(Phase.METHOD, says=b"\x05\x00"), "hop-auth"),
    "wants GSSAPI": (Fault(Phase.METHOD, says=b"\x05\x01"), "hop-auth"),
    "takes no method": (Fault(Phase.METHOD, says=b"\x05\xff"), "hop-auth"),
    "rejects the login": (Fault(Phase.LOGIN, says=b"\x01\x01"), "hop-auth"),
    "grants the login in another version": (Fault(Phase.LOGIN, says=b"\x05\x00"), "hop-auth"),
    "speaks HTTP after the greeting": (Fault(Phase.METHOD, says=_WEB), "hop-malformed"),
    "speaks HTTP after the request": (Fault(Phase.REPLY, says=_WEB), "hop-malformed"),
    "replies with an unknown kind of address": (
        Fault(Phase.REPLY, says=b"\x05\x00\x00\x09" + bytes(6)),
        "hop-malformed",
    ),
    "resets in the middle of the reply": (
        Fault(Phase.REPLY, Manner.RESET, says=b"\x05\x00\x00"),
        "hop-closed",
    ),
    **{
        f"replies {code:#04x}": (Fault(Phase.REPLY, says=socks5_reply(code)), reason)
        for code, reason in _SOCKS5_REPLIES.items()
    },
}
_SOCKS4_REPLIES = {
    0x5B: "host-unreachable",
    0x5C: "hop-auth",
    0x5D: "hop-auth",
    0x00: "hop-malformed",
    0x5E: "hop-malformed",
}
_SOCKS4 = {
    "speaks HTTP": (Fault(Phase.REPLY, says=_WEB), "hop-malformed"),
    "replies in version 4": (Fault(Phase.REPLY, says=b"\x04\x5a" + bytes(6)), "hop-malformed"),
    **{
        f"replies {code:#04x}": (Fault(Phase.REPLY, says=socks4_reply(code)), reason)
        for code, reason in _SOCKS4_REPLIES.items()
    },
}
_HTTP_STATUSES = {
    302: "hop-refused",
    400: "hop-refused",
    401: "hop-auth",
    403: "hop-refused",
    404: "host-unreachable",
    405: "hop-refused",
    407: "hop-auth",
    429: "hop-refused",
    500: "host-unreachable",
    502: "host-unreachable",
    503: "host-unreachable",
    504: "connect-timeout",
}
_HTTP = {
    # A head is judged once it is whole.
    "speaks SSH": (Fault(Phase.REPLY, says=_SSH + b"\r\n"), "hop-malformed"),
    "speaks SOCKS, and ends": (Fault(Phase.REPLY, says=socks5_reply(0)), "hop-closed"),
    "has a head without end": (
        Fault(
            Phase.REPLY, says=b"HTTP/1.1 200 OK\r\n" + b"X: %b\r\n" % bytes(1000).replace(b"\0", b"x") * 20
        ),
        "hop-malformed",
    ),
    "has interim answers without end": (
        Fault(Phase.REPLY, says=b"HTTP/1.1 100 Continue\r\n\r\n" * 9),
        "hop-malformed",
    ),
    "switches protocols": (
        Fault(Phase.REPLY, says=http_head(b"HTTP/1.1 101 No", b"Connection: upgrade", b"Upgrade: x")),
        "hop-malformed",
    ),
    **{
        f"answers {status}": (
            Fault(Phase.REPLY, says=http_head(b"HTTP/1.1 %d No" % status, b"Content-Length: 0")),
            reason,
        )
        for status, reason in _HTTP_STATUSES.items()
    },
}


def _at_each_phase(protocol: Protocol) -> dict[str, tuple[Fault, str]]:
    """It falls silent, ends or breaks off, wherever it has something to say; or it says it slowly."""
    faults = {
        "hangs before anything": (Fault(Phase.ACCEPT, Manner.HANG), "hop-timeout"),
        "closes before anything": (Fault(Phase.ACCEPT, Manner.CLOSE), "hop-closed"),
        # It depends on whether the gateway has heard of the connection before it hears of the reset.
        "resets before anything": (Fault(Phase.ACCEPT, Manner.RESET), "hop-closed or hop-unreachable"),
    }
    for phase in _SAYS_SOMETHING[protocol]:
        step = phase.name.lower()
        faults |= {
            f"hangs at the {step}": (Fault(phase, Manner.HANG), "hop-timeout"),
            f"closes at the {step}": (Fault(phase, Manner.CLOSE), "hop-closed"),
            f"closes in the middle of the {step}": (Fault(phase, Manner.HALF), "hop-closed"),
            f"resets at the {step}": (Fault(phase, Manner.RESET), "hop-closed"),
            f"says the {step} byte by byte": (Fault(phase, Manner.BYTEWISE), ""),
        }
    return faults


_GREETS_LIKE_SSH = Fault(Phase.ACCEPT, says=_SSH)

FAULTS: dict[Protocol, dict[str, tuple[Fault, str]]] = {
    "socks5": _at_each_phase("socks5") | _SOCKS5 | {"greets like SSH": (_GREETS_LIKE_SSH, "hop-malformed")},
    "socks4": _at_each_phase("socks4") | _SOCKS4 | {"greets like SSH": (_GREETS_LIKE_SSH, "hop-malformed")},
    "http": _at_each_phase("http") | _HTTP | {"greets like SSH": (_GREETS_LIKE_SSH, "hop-malformed")},
    "https": _at_each_phase("https") | _HTTP | {"greets like SSH": (_GREETS_LIKE_SSH, "hop-malformed")},
}


def told(reason: str, place: str) -> str:
    """What a client is told where the hop with this fault is not the only one; "": it is served."""
    if place == "pool":
        return reason if reason in OF_THE_TARGET else ""
    if place == "first" and reason in OF_THE_TARGET:
        return "hop-unreachable"  # it is said of the second, and not of the target
    return reason
