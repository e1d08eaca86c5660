"""Which way a flow goes, and in whose name.

The identity is decided here and nowhere else. Nothing that could link two identities is shared between them:
kept connections, the DNS cache, later the exits of chains, are all keyed by what `identify` returns.
"""

from anongw.flow import Flow


def identify(flow: Flow, *, by_destination: bool) -> str:
    """The identity of a flow: its user, else on a shared listener its client's address, else its listener.

    The kind is part of it, so that no user name can be made to look like an address. Where the config says
    so, each destination is an identity of its own.
    """
    if flow.user is not None:
        identity = f"user {flow.user}"
    elif flow.shared:
        identity = f"client {flow.client}"
    else:
        identity = f"listener {flow.listener}"
    if by_destination and flow.target is not None:
        identity = f"{identity} to {flow.target.host}"
    return identity
