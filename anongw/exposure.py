"""What a client gives away before a gateway can help, as far as its protocol and port tell. Pure.

Rules: counted and said, but of nobody: what comes out of here is a kind, and never whose it was. A port is a
hint: behind it there may be TLS all the same (STARTTLS), and no stream is looked into to find out.
"""

import enum

from anongw.config import Taken
from anongw.errors import Reason, Refused
from anongw.flow import Flow
from anongw.policy import is_public

# Where programs of old say passwords in the clear: FTP, Telnet, SMTP, POP2, POP3, IMAP. Tor's own list
# (WarnPlaintextPorts) has all but FTP and SMTP.
PLAINTEXT_PORTS = frozenset({21, 23, 25, 109, 110, 143})
HTTP_PORT = 80
TUNNELS = frozenset({"socks5", "socks4", "connect"})


class Exposure(enum.Enum):
    """What kind. The value is what `anongw status` calls it."""

    BY_ADDRESS = "by-address"  # SOCKS with a public address: the client may have looked the name up itself
    PLAINTEXT = "plaintext"  # a tunnel to a port of PLAINTEXT_PORTS
    UNSCRUBBED = "unscrubbed"  # a tunnel to port 80: plain HTTP, which an HTTP proxy would have scrubbed


# What to do about each, for the log.
ADVICE = {
    Exposure.BY_ADDRESS: (
        "a SOCKS client asks for addresses and not for names: if it looks names up itself, its resolver sees "
        "them; have it leave that to the proxy (socks5h), or set policy.safe_socks"
    ),
    Exposure.PLAINTEXT: (
        "a tunnel goes to a port where passwords are said in the clear (FTP, Telnet, SMTP, POP, IMAP): "
        "without TLS whoever is behind the last hop reads them"
    ),
    Exposure.UNSCRUBBED: (
        "a tunnel goes to port 80: plain HTTP in it is not scrubbed; have that client use this gateway as "
        "its HTTP proxy"
    ),
}


def judge(flow: Flow, taken: Taken) -> None:
    """Judge a SOCKS client that asks for an address where it could have said a name.

    It may have looked one up by itself, past the gateway. A private address is its network's own, known
    without asking anybody; whether it may be reached is for policy to say.

    Raises:
        Refused: RESOLVED_BY_CLIENT, where only names are taken.
    """
    target = flow.target
    if taken == "off" or target is None or isinstance(target.host, str) or not is_public(target.host):
        return
    flow.by_address = True
    if taken == "reject":
        raise Refused(Reason.RESOLVED_BY_CLIENT, str(target.host))


def exposures(flow: Flow) -> tuple[Exposure, ...]:
    """What a flow gives away; nothing, for nearly all."""
    target = flow.target
    if target is None or flow.protocol not in TUNNELS:
        return ()
    found = (Exposure.BY_ADDRESS,) if flow.by_address else ()
    if target.port == HTTP_PORT:
        return (*found, Exposure.UNSCRUBBED)
    if target.port in PLAINTEXT_PORTS:
        return (*found, Exposure.PLAINTEXT)
    return found
