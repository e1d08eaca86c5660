"""The questions that the gateway itself asks resolvers, and what they tell whom."""

from collections.abc import Iterator
from dataclasses import dataclass

from anongw.address import Endpoint
from anongw.knowledge.glimpse import no, nothing, yes
from anongw.knowledge.legs import Leg
from anongw.knowledge.table import Cell, Fact
from anongw.resolve.server import Server, System
from anongw.resolve.whom import Servers

_BY = "resolve"


@dataclass(frozen=True, slots=True)
class Lookup:
    """One name, asked of one of several servers: the target's, or else a first hop's."""

    name: str
    servers: Servers
    of_target: bool
    from_here: bool  # not through the chain
    exit: str

    @property
    def labels(self) -> tuple[str, ...]:
        """The servers, without paths, which may hold an account."""
        if isinstance(self.servers, System):
            return ("system",)
        return tuple(f"{one.scheme.value}://{Endpoint(one.address, one.port)}" for one in self.servers)

    def on_line(self) -> dict[Fact, Cell]:
        """For whoever watches the gateway's own line, whichever server is asked."""
        known = self._known()
        away = known if known is None else [one for one in known if not one.address.is_loopback]
        if away is not None and not away:
            return nothing(_BY, "the resolver is on this machine; whom it asks is its own matter")
        cells = nothing(_BY, "no part of a question") | {
            Fact.GATEWAY_ADDRESS: yes(_BY, "the gateway asks by this line"),
            Fact.TIMING: yes(_BY, "the gateway asks by this line"),
        }
        if away is not None and all(one.scheme.encrypted for one in away):
            hidden = no(_BY, "the question is hidden by TLS to the resolver")
            return cells | {Fact.NAME: hidden, Fact.ADDRESS: hidden}
        return cells | self._said("a resolver is asked in the clear")

    def at_server(self) -> dict[Fact, Cell]:
        """For the resolver."""
        asker = yes(_BY, "the gateway asks it") if self.from_here else no(self.exit, f"sees {self.exit} ask")
        return (
            nothing(_BY, "no part of a question")
            | self._said("it is asked for the name")
            | {Fact.GATEWAY_ADDRESS: asker, Fact.TIMING: yes(_BY, self._which())}
        )

    def _said(self, why: str) -> dict[Fact, Cell]:
        """What question and answer say of the target."""
        if not self.of_target:
            return dict.fromkeys(
                (Fact.NAME, Fact.ADDRESS), no(_BY, f"asked for {self.name}, a first hop, only")
            )
        return {Fact.NAME: yes(_BY, why), Fact.ADDRESS: yes(_BY, f"{why}, and its answer says it")}

    def _known(self) -> list[Server] | None:
        """The servers; None where only the running machine knows them."""
        return None if isinstance(self.servers, System) else list(self.servers)

    def _which(self) -> str:
        count = len(self.labels)
        return (
            "is asked"
            if count == 1
            else f"is asked, or another of {count}: one by identity, the next if it fails"
        )


def lookups(leg: Leg) -> Iterator[Lookup]:
    """Every question that a leg may need."""
    for name, servers in leg.named:
        yield Lookup(name, servers, of_target=False, from_here=True, exit=leg.exit)
    if leg.asked is not None:
        yield Lookup("", leg.asked, of_target=True, from_here=not leg.row, exit=leg.exit)
