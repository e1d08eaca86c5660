"""Which way a flow goes, and in whose name. Pure: nothing is looked up, so a name is judged as a name.

The identity is decided here and nowhere else. Nothing that could link two identities is shared between them:
kept connections, the DNS cache, exits of chains and what hops are told are all keyed by what `identify`
returns.
"""

import sys
from collections.abc import Sequence

from anongw import config
from anongw.config import REFUSE
from anongw.flow import Flow
from anongw.targets import Targets


def identify(flow: Flow, settings: config.Identity) -> str:
    """The identity of a flow: its user, else on a shared listener its client's address, else its listener.

    The kind is part of it, so that no user name can be made to look like an address. What the client wants to
    be told apart by is part of it too, and where the config says so its address and its destination.
    """
    if flow.user is not None:
        identity = f"user {flow.user}"
    elif flow.shared:
        identity = f"client {flow.client}"
    else:
        identity = f"listener {flow.listener}"
    if flow.token:
        identity = f"{identity} token {flow.token}"
    if settings.by_client and flow.client is not None:
        identity = f"{identity} from {flow.client}"
    if settings.by_destination and flow.target is not None:
        identity = f"{identity} to {flow.target.host}"
    return sys.intern(identity)  # one string for all flows of one identity


class Table:
    """The routes of a config, in order; the first that matches a flow wins."""

    def __init__(self, routes: Sequence[config.Route]) -> None:
        self._rules = [(route, Targets(route.target) if route.target else None) for route in routes]

    def choose(self, flow: Flow) -> str:
        """Where the flow goes: a chain's name, "direct" or "refuse"."""
        place = self.place(flow)
        # A config whose last route has conditions is refused when it is read; what matches none goes nowhere.
        return REFUSE if place is None else self._rules[place][0].to

    def place(self, flow: Flow) -> int | None:
        """Which of the routes decides, counted from 0; None: none matches."""
        for place, (route, targets) in enumerate(self._rules):
            if _matches(route, targets, flow):
                return place
        return None


def _matches(route: config.Route, targets: Targets | None, flow: Flow) -> bool:
    return (
        (not route.protocol or flow.protocol in route.protocol)
        and (not route.listener or flow.listener in route.listener)
        and (not route.identity or flow.user in route.identity)
        and (targets is None or _concerns(targets, flow))
    )


def _concerns(targets: Targets, flow: Flow) -> bool:
    target = flow.target
    if target is None:
        return False
    if isinstance(target.host, str):
        return targets.match(target.host, (), target.port)
    return targets.match(None, (target.host,), target.port)
