"""The one way in which anongw says no.

Every refusal is a `Refused` with a `Reason`. Each inbound protocol owns a table from Reason to its own
answer, and a test walks `for reason in Reason` over each of them. Foreign exceptions (OSError, ssl, dns,
h2) become `Refused` where they arise, in `net/` and `resolve/`, and nowhere else.

`detail` is for the local log only. It must never hold a secret, and the log leaves it out unless its user
asked for names, so it may hold a target; it never reaches a client or a server.
"""

import enum


class Reason(enum.Enum):
    """Why a flow was refused or ended early. The value is what the log calls it."""

    # The client's fault
    MALFORMED = "malformed"  # bytes that no rule of the protocol allows
    TOO_LARGE = "too-large"  # a head, line or field over its limit
    UNSUPPORTED_PROTOCOL = "unsupported-protocol"  # not SOCKS4, SOCKS5 or HTTP/1
    UNSUPPORTED_COMMAND = "unsupported-command"  # BIND, UDP ASSOCIATE, an unknown method
    UNSUPPORTED_ADDRESS = "unsupported-address"  # an address type we do not know
    UNSUPPORTED_ENCODING = "unsupported-encoding"  # a transfer coding other than chunked
    EXPECTATION_FAILED = "expectation-failed"  # Expect with anything but 100-continue
    AUTH_REQUIRED = "auth-required"  # users exist and nobody was named
    AUTH_FAILED = "auth-failed"  # the name or the password is wrong
    CLIENT_GONE = "client-gone"  # closed or reset while we worked for it
    CLIENT_REFUSED = "client-refused"  # its address is not on the listener's allow-list
    PROBE = "probe"  # a request meant for us and not for an origin: answered by silence
    RESOLVED_BY_CLIENT = "resolved-by-client"  # SOCKS with an address where only names are taken

    # Policy
    FORBIDDEN = "forbidden"  # a deny rule, or no allow rule, matched the target
    PRIVATE_TARGET = "private-target"  # loopback, private, link-local, metadata, multicast
    PRIVATE_NAME = "private-name"  # localhost, .local, .onion: never asked of a resolver
    REBINDING = "rebinding"  # a public name that answered with private addresses only
    OWN_LISTENER = "own-listener"  # the target is this gateway or this machine

    # Names
    NAME_NOT_FOUND = "name-not-found"  # the resolver says there is no such name or no address
    RESOLVER_FAILED = "resolver-failed"  # no resolver gave an answer that can be trusted

    # The way out
    CONNECTION_REFUSED = "connection-refused"
    HOST_UNREACHABLE = "host-unreachable"
    NETWORK_UNREACHABLE = "network-unreachable"
    CONNECT_TIMEOUT = "connect-timeout"
    TLS_FAILED = "tls-failed"  # a certificate or handshake that does not verify
    UPSTREAM_CLOSED = "upstream-closed"  # ended before it had answered
    UPSTREAM_MALFORMED = "upstream-malformed"  # an answer that no rule of the protocol allows
    UPSTREAM_TIMEOUT = "upstream-timeout"  # connected, then silent for too long
    EGRESS_GONE = "egress-gone"  # the interface or address that it has to leave from is not there
    ROUTE_REFUSED = "route-refused"  # a route of the config says "refuse"

    # A hop of a chain, not the target
    HOP_UNREACHABLE = "hop-unreachable"  # nobody answers there
    HOP_TIMEOUT = "hop-timeout"  # it took the connection, then said nothing
    HOP_CLOSED = "hop-closed"  # it ended the connection before its reply
    HOP_MALFORMED = "hop-malformed"  # a reply that no rule of its protocol allows
    HOP_AUTH = "hop-auth"  # it does not take our credentials, or does not ask for them where it must
    HOP_TLS = "hop-tls"  # its certificate or handshake does not verify
    HOP_REFUSED = "hop-refused"  # its own rules forbid the target

    # Limits and life
    BUDGET_SPENT = "budget-spent"  # its identity may have no more connections, or bytes today
    FORGOTTEN = "forgotten"  # its identity was, by `anongw identity forget`
    TOO_MANY = "too-many"  # the limit on connections is reached
    RESOURCES = "resources"  # the kernel gave no descriptor, buffer or port
    HANDSHAKE_TIMEOUT = "handshake-timeout"  # the client did not say what it wants in time
    IDLE_TIMEOUT = "idle-timeout"  # nothing moved for too long
    LIFETIME = "lifetime"  # the longest life of a connection is over
    STOPPING = "stopping"  # the gateway is shutting down
    INTERNAL = "internal"  # a bug of ours; the flow ends, the gateway lives


class Refused(Exception):
    """A flow that may not go on. Raised anywhere, answered by the protocol that the client speaks."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        # Without the detail: an exception's text travels far, into logs that name nobody.
        return self.reason.value


class StartError(Exception):
    """The gateway cannot start, or cannot go by a config. The text is for a person and says what to do."""
