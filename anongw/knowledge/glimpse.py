"""What somebody who stands on the way sees: of the stream, of whom it comes from, of logins, of a question.

A place is counted in hops: 0 is the gateway's own line, 1 the first hop. Who stands there reads what is said
to the hops behind, and a hop also what is said to itself. `behind` the last hop there is the stream alone.
"""

from dataclasses import dataclass

from anongw.knowledge.legs import Leg, Told, Way
from anongw.knowledge.question import Asked, Content
from anongw.knowledge.stages import logins, veil
from anongw.knowledge.table import Cell, Cells, Fact, Learns
from anongw.web.rules import compile_rules
from anongw.web.scrub import Outgoing, request
from anongw.wire.http1 import NO_BODY

# What the target is, says or is sent: all that nobody learns of one that is refused.
OF_TARGET = (Fact.NAME, Fact.ADDRESS, Fact.CONTENT, Fact.LOGIN)
_CANARY = b"Basic a"


def yes(by: str, why: str, of: tuple[str, ...] = ()) -> Cell:
    return Cell(learns=Learns.YES, by=by, why=why, of=of)


def no(by: str, why: str) -> Cell:
    return Cell(learns=Learns.NO, by=by, why=why)


def nothing(by: str, why: str) -> dict[Fact, Cell]:
    return dict.fromkeys(Fact, no(by, why))


def joined(first: Cells, second: Cells) -> dict[Fact, Cell]:
    """What one party learns in two ways: the more of each."""
    return {fact: _more(first[fact], second[fact]) for fact in Fact}


def _more(first: Cell, second: Cell) -> Cell:
    chosen = second if second.learns.rank > first.learns.rank else first
    of = tuple(dict.fromkeys((*first.of, *second.of)))
    return Cell(learns=chosen.learns, by=chosen.by, why=chosen.why, of=of)


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What can be seen of one connection."""

    asked: Asked
    way: Way

    @property
    def named(self) -> bool:
        """Whether the target is a name."""
        return isinstance(self.asked.target.host, str)

    @property
    def route(self) -> str:
        return f"route[{self.way.taken.place}]" if self.way.taken else "route"

    @property
    def names(self) -> str:
        """The setting that says who looks targets up."""
        return f"chains.{self.way.taken.to}.names" if self.way.taken and self.way.chain else self.route

    def stream(self, leg: Leg, place: int, *, behind: bool = False) -> dict[Fact, Cell]:
        """What is learnt of the target by whoever carries the stream at a place."""
        if leg.told is Told.NOTHING:
            return dict.fromkeys(OF_TARGET, no(leg.exit, "refused before the target is told"))
        cover = veil(leg.row, place)
        if cover is not None:
            return dict.fromkeys(OF_TARGET, no(cover.label, f"hidden by TLS to {cover.label}"))
        return {
            Fact.NAME: self._name(leg, behind=behind),
            Fact.ADDRESS: self._address(leg, place, behind=behind),
            Fact.CONTENT: self.content(),
            Fact.LOGIN: self.login(self.content()),
        }

    def logins(self, leg: Leg, place: int) -> Cell:
        """Those that are said to the hops behind a place, and can be read there."""
        read = tuple(stage.label for stage in logins(leg.row, place))
        if read:
            return yes(read[0], f"the login of {' and '.join(read)} goes by in the clear", read)
        rest = leg.row[place:]
        if not any(stage.logs_in for stage in rest):
            return no(leg.exit, "no login is said to any hop from here on")
        cover = next(stage for stage in rest if stage.secure or stage.logs_in)
        return no(cover.label, f"hidden by TLS to {cover.label}")

    def inside(self) -> Cell:
        """The name, for whoever reads the stream itself."""
        if self.named:
            return yes("target", "the stream itself says it: Host, or TLS in its first message (SNI)")
        return no("target", "the target is an address")

    def login(self, content: Cell) -> Cell:
        """Log-ins at the destination, for whoever reads so much of the content."""
        if self.asked.question.protocol == "http" and not self._passes_logins():
            return no("scrub", "the scrubber drops Cookie and Authorization")
        return content

    def content(self) -> Cell:
        match self.asked.question.content:
            case Content.PLAIN:
                return yes("target", "plain HTTP is read by whoever carries it")
            case Content.TLS:
                return no("target", "inside the client's own TLS")
            case Content.UNKNOWN:
                return Cell(learns=Learns.PLAIN, by="target", why="a tunnel is passed as it is")

    def _name(self, leg: Leg, *, behind: bool) -> Cell:
        if self.named and leg.told is Told.NAME and not behind:
            return yes(self.names, f"it is told to {leg.exit}, and read on the way there")
        return self.inside()

    def _address(self, leg: Leg, place: int, *, behind: bool) -> Cell:
        if not self.named:
            return yes("target", "the target is an address")
        if leg.told is Told.ADDRESS:
            return yes(self.names, "the name is looked up before, and the connection asked for by address")
        if leg.overlay:
            return no("target", "a name of an overlay stands for no address")
        if behind or place == len(leg.row):
            return yes(leg.exit, "the name is looked up by the exit, which connects to what it finds")
        return no(self.names, f"the name goes by, and {leg.exit} looks it up")

    def _passes_logins(self) -> bool:
        """Whether the scrubber lets any of the two headers through, asked by showing it both."""
        origin = self.asked.target
        about = Outgoing(b"GET", origin, NO_BODY, websocket=False)
        sent = request(
            [(b"Cookie", _CANARY), (b"Authorization", _CANARY)], about, compile_rules(self.asked.config.scrub)
        )
        return _CANARY in dict(sent.headers).values()
