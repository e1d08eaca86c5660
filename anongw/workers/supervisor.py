"""The parent of the workers: binds, forks, replaces those that die, stops and reloads them all.

Rules that hold here, each with its test:

- All sockets are bound before the first worker is, and stay bound while workers come and go.
- A worker that dies takes its own connections along and nobody else's. Another is put in its place: at once,
  or, where it died young, after a pause that grows. Until all have accepted for the first time, one that dies
  ends the gateway with what it died of.
- A reload is everybody's or nobody's: read and judged here, prepared by each worker, and only then in force.
- Whatever the parent dies of, its workers die too.

Nothing here waits for one worker for ever: each wait has its limit, and a worker that is stuck is ended.
"""

import selectors
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import msgspec

from anongw import log
from anongw.config import Config, ConfigError
from anongw.control import Declined, Reloaded, Status
from anongw.errors import Reason, StartError
from anongw.gateway import capacities, may_follow, say_not_reloaded, say_reloaded
from anongw.identities import EVERYBODY, Epochs
from anongw.ledger import Books
from anongw.openings import Openings, open_all
from anongw.outbound.health import NUMBERS
from anongw.outbound.stays import RECORD_BYTES
from anongw.privacy import ROTATE_EVERY, Privacy, kind_of, setting
from anongw.registrar import NOBODY, Meant, nonce, said
from anongw.reporting import changes
from anongw.wire.control import Fields
from anongw.workers.channel import (
    Abandon,
    Answer,
    Ask,
    Channel,
    Commit,
    End,
    Ended,
    Failed,
    Prepare,
    Ready,
    Stop,
    ToParent,
    ToWorker,
)
from anongw.workers.crew import Crew, Worker, how_it_ended
from anongw.workers.pace import Pace
from anongw.workers.shares import share
from anongw.workers.sums import listed, merged, summed, together
from anongw.workers.worker import work

# Seconds for all workers to answer a command, and to prepare another config; whoever asked has 30.
ANSWERING = 5.0
PREPARING = 20.0
# Seconds that a worker has beyond `limits.shutdown`, and after it was told to end at once, until it is ended.
OVERTIME = 10.0
# Members of chains that later configs may add without workers knowing them apart.
_LATER_MEMBERS = 1024
# And users with a budget.
_LATER_ACCOUNTS = 1024

InLoop = Callable[[Callable[[], Awaitable[None]]], None]


def supervise(
    config: Config,
    *,
    ready: Callable[[tuple[str, ...]], None],
    in_loop: InLoop,
    reload: Callable[[], Config] | None = None,
) -> None:
    """Run `listen.workers` of them until SIGTERM or SIGINT; then end them gracefully.

    Args:
        config: validated.
        ready: told the listeners' addresses once all workers accept.
        in_loop: runs a coroutine in an event loop of its own; what it raises has a text for a person.
        reload: reads the config again, at SIGHUP; it may raise ConfigError. Without one SIGHUP ends it too.

    Raises:
        StartError: something cannot be had, or workers do not live.

    """
    capacities(share(config, 0), config.listen.workers)
    openings = open_all(config)
    try:
        Supervisor(config, openings, ready=ready, in_loop=in_loop, reload=reload).run()
    finally:
        openings.close()


class Supervisor:
    """One gateway of several workers. `pace`: a fresh one for each of them."""

    def __init__(  # noqa: PLR0913 - one fact each, named at every call
        self,
        config: Config,
        openings: Openings,
        *,
        ready: Callable[[tuple[str, ...]], None],
        in_loop: InLoop,
        reload: Callable[[], Config] | None = None,
        pace: Callable[[], Pace] = Pace,
    ) -> None:
        workers = config.listen.workers
        self._config = config
        self._openings = openings
        self._tell_ready: Callable[[tuple[str, ...]], None] | None = ready
        self._in_loop = in_loop
        self._read = reload
        self._books = _books(config)
        self._privacy = Privacy(names=config.log.names)
        self._epochs = Epochs()  # of identities; a worker is forked with those that were begun by then
        self._crew = Crew(self._work, self._shed)
        self._paces = {index: pace() for index in range(workers)}
        self._due = dict.fromkeys(range(workers), 0.0)  # which are to be forked, and when
        self._selector = selectors.DefaultSelector()
        self._signals: list[int] = []
        self._asked: list[tuple[Worker, Ask]] = []
        self._answers: dict[int, Answer] = {}  # to the question under way, by worker
        self._number = 0  # of that question
        self._counted: list[log.Counters] = []
        self._started = time.monotonic()
        self._generation = 1
        self._replaced = 0
        self._stop_by: float | None = None  # when those that still live are ended
        self._hopeless = ""  # why it gives up

    def run(self) -> None:
        """Until all have ended.

        Raises:
            StartError: workers die as soon as they are started.
        """
        woken, wake = socket.socketpair()
        with self._books, woken, wake, _signals_to(wake, self._noted):
            woken.settimeout(0)
            self._woken, self._wake = woken, wake
            self._selector.register(woken, selectors.EVENT_READ)
            try:
                while self._crew.alive or self._stop_by is None:
                    # Its keys go on with the hours, so that no worker is given one that is over.
                    self._privacy.turn()
                    self._fork_due()
                    self._pump(self._next())
                    if self._hopeless:
                        raise StartError(self._hopeless)
                    self._obey_signals()
                    self._answer_asked()
                    self._end_the_late()
            finally:
                for worker in self._crew.alive.values():
                    self._crew.kill(worker)
                self._selector.close()
        summed(self._counted).summary()

    # Life and death

    def _work(self, index: int, channel: Channel) -> None:
        """What a worker does with its life, in its own process."""
        log.label(f"worker {index + 1}: ")
        ledger = self._books.worker(index)
        shared = (self._privacy, self._epochs)
        self._in_loop(partial(work, self._config, ledger, self._openings, *shared, channel))

    def _shed(self) -> None:
        self._selector.close()
        self._woken.close()
        self._wake.close()

    def _fork_due(self) -> None:
        now = time.monotonic()
        for index in [index for index, when in self._due.items() if when <= now]:
            del self._due[index]
            worker = self._crew.fork(index)
            self._selector.register(worker.channel.sock, selectors.EVENT_READ, worker)

    def _bury(self) -> None:
        for worker, status in self._crew.buried():
            with suppress(EOFError):  # its last words
                while messages := worker.channel.receive():
                    self._hear(worker, messages)
            self._selector.unregister(worker.channel.sock)
            worker.channel.close()
            self._books.clear(worker.index)
            if self._stop_by is None:
                self._replace(worker, how_it_ended(status))

    def _replace(self, worker: Worker, how: str) -> None:
        said = f"worker {worker.index + 1} ended with {how}"
        if self._tell_ready is not None:
            self._hopeless = worker.error or f"{said} before it could accept"
            return
        pace = self._paces[worker.index]
        pause = pace.died(time.monotonic() - worker.since)
        if all(map(self._is_hopeless, self._paces)):
            self._hopeless = f"{said}, as all before it did, one right after the other"
            return
        self._replaced += 1
        self._due[worker.index] = time.monotonic() + pause
        later = f"in {pause:g} s" if pause else "now"
        why = setting(worker.error or "no reason given")
        log.error("{}: {}, and is replaced {}", setting(said), why, setting(later))

    def _is_hopeless(self, index: int) -> bool:
        """Whether this worker has died young over and over, and looks no better now."""
        pace, worker = self._paces[index], self._crew.alive.get(index)
        grown = worker is not None and time.monotonic() - worker.since >= pace.young
        return pace.hopeless and not grown

    def _end_the_late(self) -> None:
        if self._stop_by is not None and time.monotonic() >= self._stop_by:
            for worker in self._crew.alive.values():
                self._crew.kill(worker)

    # What comes in

    def _next(self) -> float:
        """Seconds until something is to be done without anybody's asking for it."""
        times = [*self._due.values(), *([self._stop_by] if self._stop_by is not None else [])]
        return max(0.0, min(times, default=time.monotonic() + ROTATE_EVERY) - time.monotonic())

    def _pump(self, seconds: float) -> None:
        """Wait for something, so long at the most, and note what came."""
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                with suppress(BlockingIOError):
                    self._woken.recv(4096)
                continue
            worker: Worker = key.data
            try:
                self._hear(worker, worker.channel.receive())
            except EOFError:
                # It is about to die, or as good as dead: nothing can be said to it any more.
                self._crew.kill(worker)
        self._bury()

    def _hear(self, worker: Worker, messages: list[ToWorker | ToParent]) -> None:
        for message in messages:
            match message:
                case Ready():
                    worker.ready = True
                    self._tell_when_all_are_ready()
                case Answer(number) if number == self._number:
                    self._answers[worker.index] = message
                case Ask():
                    self._asked.append((worker, message))
                case Failed(error):
                    worker.error = error
                case Ended(counters):
                    self._counted.append(counters)

    def _tell_when_all_are_ready(self) -> None:
        alive = self._crew.alive.values()
        if self._tell_ready and len(alive) == len(self._paces) and all(worker.ready for worker in alive):
            tell, self._tell_ready = self._tell_ready, None
            tell(self._openings.names)

    # What is asked of all

    def _gather(self, message: Callable[[int], ToWorker], seconds: float) -> dict[int, Answer]:
        """Ask every worker; the answers of those that gave one in time."""
        self._number += 1
        self._answers = {}
        asked = list(self._crew.alive.values())
        for worker in asked:
            self._crew.tell(worker, message(self._number))
        until = time.monotonic() + seconds
        while any(map(self._is_awaited, asked)) and time.monotonic() < until and not self._hopeless:
            self._pump(until - time.monotonic())
        return self._answers

    def _is_awaited(self, worker: Worker) -> bool:
        return self._crew.alive.get(worker.index) is worker and worker.index not in self._answers

    def _answer_asked(self) -> None:
        while self._asked:
            worker, ask = self._asked.pop(0)
            try:
                answer = Answer(ask.number, self._do(ask))
            except Declined as declined:
                answer = Answer(ask.number, error=str(declined), faults=declined.faults)
            except Exception as bug:  # noqa: BLE001 - whatever it is, it is no reason for workers to die
                log.error("a bug ended a command: {}", kind_of(bug))
                answer = Answer(ask.number, error=Reason.INTERNAL.value)
            if self._crew.alive.get(worker.index) is worker:
                self._crew.tell(worker, answer)

    def _do(self, ask: Ask) -> Fields:
        if ask.command == "reload":
            return {"reloaded": self._reload_or_decline()}
        if ask.command in ("new", "forget"):
            return self._begin_epoch(ask)
        answers = self._answers_of_all(ask.command, ask.arguments)
        if ask.command == "status":
            return {"status": self._status(answers)}
        if ask.command == "identities":
            return {"identities": listed(answer.fields["identities"] for answer in answers.values())}
        return next(iter(answers.values())).fields

    def _answers_of_all(self, command: str, arguments: Fields) -> dict[int, Answer]:
        answers = self._gather(lambda number: Ask(number, command, arguments), ANSWERING)
        for answer in answers.values():
            if answer.error:
                raise Declined(answer.error, answer.faults)
        if not answers:
            raise Declined("no worker answers")
        return answers

    def _begin_epoch(self, ask: Ask) -> Fields:
        """As `Registrar.tell_new` and `tell_forget`, for all workers, also those that are forked later."""
        answers = self._answers_of_all("meant", {"name": said(ask.arguments)})
        found = [answer.fields["meant"] for answer in answers.values()]
        known = [one for one in found if isinstance(one, Meant)]
        if not known:
            raise Declined(NOBODY)
        selector, fresh = known[0].selector, nonce()
        self._epochs.begin(selector, fresh)
        if ask.command == "forget" and selector == EVERYBODY:
            self._privacy.forget(fresh)
        command = "renew" if ask.command == "new" else "wipe"
        answers = self._answers_of_all(command, {"selector": selector, "nonce": fresh})
        if any(index not in answers for index in self._crew.alive):
            raise Declined("a worker did not answer in time, and does it when it can: say it again")
        identities = len(frozenset[str]().union(*(one.names for one in known)))
        return together([answer.fields for answer in answers.values()], identities)

    def _status(self, answers: dict[int, Answer]) -> Status:
        statuses: dict[int, Status] = {}
        for index, answer in answers.items():
            status = answer.fields["status"]
            assert isinstance(status, Status)  # noqa: S101 - that is what the command gives
            statuses[index + 1] = status
        return merged(statuses, uptime=time.monotonic() - self._started, replaced=self._replaced)

    # Reload and stop

    def _reload_or_decline(self) -> Reloaded:
        try:
            return self._reload()
        except ConfigError as error:
            raise Declined("nothing was changed", str(error).splitlines()) from None
        except StartError as error:
            raise Declined(f"nothing was changed: {error}") from None

    def _reload(self) -> Reloaded:
        """As `Gateway.reload`, for all workers or for none."""
        if self._read is None:
            raise StartError("this gateway was started without a file that could be read again")
        old, new = self._config, self._read()
        if new == old:
            return Reloaded(generation=self._generation)
        may_follow(old, new)
        # How many there are, like all that was bound or allotted, changes at a restart.
        fixed = _with_workers(new, old.listen.workers)
        capacities(share(fixed, 0), old.listen.workers)
        answers = self._gather(lambda number: Prepare(number, fixed), PREPARING)
        errors = [answer.error for answer in answers.values() if answer.error]
        if any(index not in answers for index in self._crew.alive):
            errors.append("a worker did not answer in time")
        everybody: ToWorker = Abandon() if errors else Commit()
        for worker in self._crew.alive.values():
            self._crew.tell(worker, everybody)
        if errors:
            raise StartError(errors[0])
        self._config = fixed
        self._generation += 1
        self._privacy.names = new.log.names
        log.setup(new.log)
        return changes(old, new, self._generation)

    def _noted(self, number: int, _frame: object) -> None:
        self._signals.append(number)

    def _obey_signals(self) -> None:
        while self._signals:
            match self._signals.pop(0):
                case signal.SIGCHLD:
                    continue
                case signal.SIGHUP if self._read is not None:
                    self._reload_and_tell()
                case _:
                    self._stop()

    def _reload_and_tell(self) -> None:
        try:
            found = self._reload()
            say_reloaded(found)
        except (ConfigError, StartError) as error:
            say_not_reloaded(error)

    def _stop(self) -> None:
        again = self._stop_by is not None
        left = OVERTIME if again else self._config.limits.shutdown + OVERTIME
        self._stop_by = time.monotonic() + left
        self._due.clear()
        self._openings.close()
        for worker in self._crew.alive.values():
            self._crew.tell(worker, End() if again else Stop())


def _books(config: Config) -> Books:
    positions = [hop for chain in config.chains.values() for hop in chain.hop]
    return Books(
        config.listen.workers,
        stays=config.limits.sticky_identities * max(1, len(positions)),
        stay_bytes=RECORD_BYTES,
        standings=sum(len(hop.members) for hop in positions) + _LATER_MEMBERS,
        numbers=NUMBERS,
        accounts=len(config.identities) + _LATER_ACCOUNTS,
    )


def _with_workers(config: Config, workers: int) -> Config:
    return msgspec.structs.replace(config, listen=msgspec.structs.replace(config.listen, workers=workers))


@contextmanager
def _signals_to(wake: socket.socket, noted: Callable[[int, object], None]) -> Iterator[None]:
    """Have signals noted, and whoever waits woken by a byte in `wake`."""
    wake.settimeout(0)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    old = {number: signal.signal(number, noted) for number in numbers}
    before = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        for number, handler in old.items():
            signal.signal(number, handler)
