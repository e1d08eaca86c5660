"""One look at one member of a chain: how far a dial to it gets, how long each stage takes, and why it ends.

It is a dial as clients make them, by the same `Path`, in a name that was never used before: what is found is
what a client would meet. A path tells a hop's fault from the target's and from nobody's; here that becomes a
word for a person, and what was seen of it, without anybody's login.
"""

import enum
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from anongw.address import Endpoint
from anongw.config import Member
from anongw.errors import Reason, Refused
from anongw.net.fiber import Fiber
from anongw.outbound.isolation import Isolation
from anongw.outbound.path import UNREACHED, HopFailed, Path, Reach
from anongw.outbound.relays import Step


class State(enum.Enum):
    """What is known of a member; the value is what it is called."""

    UP = "up"  # it has taken our log-in; with a target, it has connected to it
    ACCEPTS = "accepts connections"  # and verified TLS; its protocol says nothing before it is asked
    DIRECT = "direct"  # no proxy at all
    UNREACHABLE = "unreachable"
    SILENT = "silent"
    CLOSES = "closes"
    GARBAGE = "garbage"
    LOGIN = "refuses our credentials"
    CERTIFICATE = "certificate"
    REFUSES = "refuses the target"
    TARGET = "target unreachable"
    UNTRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one dial has shown of one step. Times are in seconds; None: it did not get so far."""

    step: Step
    state: State
    reason: str = ""
    reach: float | None = None  # until it, or the hop before it, said that it is connected to; a look-up too
    login: float | None = None  # TLS and log-in; None as well where its protocol has neither
    target: float | None = None

    @property
    def works(self) -> bool:
        """Whether what comes after it can be dialled through it, as far as is known."""
        return self.state in (State.UP, State.ACCEPTS)

    @property
    def words(self) -> str:
        return f"{self.state.value}: {self.reason}" if self.reason else self.state.value


class Examiner:
    """Makes such dials. Seconds: `hop` to reach a hop, and to enter it; `whole` for a dial, or a target."""

    def __init__(self, reach: Reach, isolation: Isolation, *, hop: float, whole: float) -> None:
        self._reach = reach
        self._isolation = isolation
        self._hop = hop
        self._whole = whole

    async def examine(self, steps: tuple[Step, ...], target: Endpoint | None, fiber: Fiber) -> Finding:
        """Dial up to the last of `steps`, or through all of them to the target.

        What is found is about the last one, unless one before it failed. The connection is the fiber's, and
        ends with it.
        """
        path = Path(steps, self._reach, self._isolation, f"test {secrets.token_hex(16)}", fiber)
        path.bound(fiber.engine.now + self._whole, hop=self._hop, answer=self._whole)
        began = time.monotonic()  # the engine's clock stands still between events
        try:
            await path.to(target)
        except HopFailed as failed:
            return _Dial(steps, began, path.passed).failed(failed)
        except Refused as refused:
            return _Dial(steps, began, path.passed).refused(refused)
        return _Dial(steps, began, path.passed).succeeded(proved=target is not None)


# In which protocols a hop has spoken once it is entered, and in which entering it takes time at all.
_SPEAKS = frozenset({"socks5"})
_ENTERED = frozenset({"socks5", "https"})

# How far a step has got: the number of its stages that were passed.
_REACHING, _ENTERING, _ASKING = range(3)
_STAGES = 2  # of a step that is passed: it was reached, and entered

_STATES = {
    Reason.HOP_UNREACHABLE: State.UNREACHABLE,
    Reason.HOP_TIMEOUT: State.SILENT,
    Reason.HOP_CLOSED: State.CLOSES,
    Reason.HOP_MALFORMED: State.GARBAGE,
    Reason.HOP_AUTH: State.LOGIN,
    Reason.HOP_TLS: State.CERTIFICATE,
}
# Where the log's own words for a reason are too few for whoever has to mend it.
_WORDS = {
    Reason.HOP_TIMEOUT: "no answer",
    Reason.HOP_CLOSED: "closed without an answer",
    Reason.UPSTREAM_CLOSED: "closed without an answer",
    Reason.HOP_REFUSED: "forbidden",
    Reason.NAME_NOT_FOUND: "its name has no address",
    Reason.RESOLVER_FAILED: "no resolver told its address",
    Reason.PRIVATE_NAME: "nobody is asked for such a name: write its address, or set resolve.zones",
}


class _Dial:
    """A dial that is over. `passed` is when each of its stages was."""

    def __init__(self, steps: tuple[Step, ...], began: float, passed: Sequence[float]) -> None:
        self._steps = steps
        self._times = [after - before for before, after in pairwise((began, *passed))]

    def succeeded(self, *, proved: bool) -> Finding:
        speaks = self._steps[-1].member.url.scheme in _SPEAKS
        return self._about(self._steps[-1], State.UP if proved or speaks else State.ACCEPTS)

    def failed(self, failed: HopFailed) -> Finding:
        # Of two that it may have been, one has worked until it was asked for the other.
        step = failed.suspects[-1]
        stage = self._stage(step)
        if stage == _REACHING:
            return self._about(step, State.UNREACHABLE, self._out_of_reach(step, failed.refused))
        state = _STATES[failed.reason]
        if state is State.CERTIFICATE:
            return self._about(step, state, failed.refused.detail)
        if state is State.LOGIN and not _has_login(step.member):
            return self._about(step, state, "it asks for some, and none are set")
        return self._about(step, state, self._asked_for(step) if stage == _ASKING else "")

    def refused(self, refused: Refused) -> Finding:
        """By the last step, what it says of the target; else by this machine."""
        step = self._steps[-1]
        if self._stage(step) == _ASKING:
            if refused.reason in UNREACHED:
                return self._about(step, State.TARGET, _words(refused))
            if refused.reason in (Reason.HOP_REFUSED, Reason.UNSUPPORTED_ADDRESS):
                return self._about(step, State.REFUSES)
        return self._about(step, State.UNTRIED, refused.detail or _words(refused))

    def _stage(self, step: Step) -> int:
        return len(self._times) - _STAGES * self._steps.index(step)

    def _about(self, step: Step, state: State, reason: str = "") -> Finding:
        first = _STAGES * self._steps.index(step)
        reach, login, target = (*self._times[first : first + 3], None, None, None)[:3]
        if step.member.url.scheme not in _ENTERED:
            login = None
        return Finding(step, state, reason, reach, login, target)

    def _out_of_reach(self, step: Step, refused: Refused) -> str:
        place = self._steps.index(step)
        way = f", by way of {self._steps[place - 1].member.url}" if place else ""
        return f"{_words(refused)}{way}"

    def _asked_for(self, step: Step) -> str:
        place = self._steps.index(step) + 1
        following = str(self._steps[place].member.url) if place < len(self._steps) else "the target"
        return f"when it is asked for {following}"


def _words(refused: Refused) -> str:
    return _WORDS.get(refused.reason, refused.reason.value.replace("-", " "))


def _has_login(member: Member) -> bool:
    return member.user is not None or member.password is not None or member.isolation != "off"
