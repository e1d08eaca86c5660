"""The gateway: builds the rooms from the config, and carries one connection from accept to close.

    accept -> detect -> handshake -> policy -> route -> (resolve) -> dial -> answer -> relay | web

`Gateway._carry` is that line as code. What it calls lies in `inbound/` (the handshake and its answers),
behind which the flow's route leads to `outbound/`: a chain, or directly. `generation.py` builds these rooms
from a config, again at every reload.
"""

import signal
import socket
import time
from collections.abc import Awaitable, Callable
from functools import partial
from ipaddress import ip_address

import anyio
import anyio.abc

from anongw import log
from anongw.address import Address, Endpoint
from anongw.admission import Admission, capacity
from anongw.complaints import Complaints
from anongw.config import DIRECT, Config, ConfigError
from anongw.control import Command, Control, Declined, Reloaded, Status
from anongw.errors import Reason, Refused, StartError
from anongw.flow import Flow
from anongw.generation import Generation, Lasting
from anongw.identities import Epochs, Identities
from anongw.inbound.http import Http
from anongw.inbound.session import Rooms, Session
from anongw.inbound.socks import serve_socks4, serve_socks5
from anongw.ledger import Ledger, alone
from anongw.net.descriptors import raise_limit
from anongw.net.engine import Engine
from anongw.net.fiber import Delegate, Fiber
from anongw.net.listen import Listener
from anongw.net.pipes import Pipes
from anongw.net.stream import Stream
from anongw.openings import Openings, open_all
from anongw.privacy import Privacy, kind_of, place, setting, settings
from anongw.registrar import Registrar
from anongw.reporting import changes, status
from anongw.wire.control import Fields
from anongw.wire.detect import Protocol, detect

# At a stop, a tunnel in which nothing has moved for so many seconds is taken to be between two uses.
QUIET = 2.0
# Seconds between two looks at which tunnels have become quiet.
_LOOK = 0.25
# Seconds for which dials that began before a reload may still ask the resolver that they began with.
_RETIRE_AFTER = 60.0
# Seconds that flows have to say their last words once the time for stopping is over.
_LAST_WORDS = 2.0


async def serve(
    config: Config,
    *,
    ready: Callable[[tuple[str, ...]], None],
    stop: anyio.Event | None = None,
    signals: bool = True,
    reload: Callable[[], Config] | None = None,
) -> None:
    """Run a gateway until SIGTERM or SIGINT (if `signals`) or until `stop` is set; then end it gracefully.

    Args:
        config: validated.
        ready: told the listeners' addresses, with their real ports, once all of them accept.
        stop: ends the gateway when set.
        signals: whether to listen to signals; a second one ends without waiting for transfers.
        reload: reads the config again, at SIGHUP; it may raise ConfigError. Without one SIGHUP ends it too.

    Raises:
        StartError: a listener or a limit cannot be had.

    """
    stop = stop or anyio.Event()
    gateway = Gateway(config, reload)
    try:
        listeners = gateway.listen(open_all(config))
        async with anyio.create_task_group() as tasks:
            await tasks.start(gateway.engine.run)
            await gateway.live(tasks)
            if signals:
                hung_up = partial(_reload_and_tell, gateway.reload) if reload else None
                await tasks.start(watch_signals, stop, tasks.cancel_scope, hung_up)
            ready(listeners)
            await stop.wait()
            await gateway.drain()
            tasks.cancel_scope.cancel()
    finally:
        gateway.close()
    gateway.counters.summary()


class Gateway:
    """The listeners, and the rooms of the config that counts now."""

    def __init__(
        self,
        config: Config,
        read: Callable[[], Config] | None = None,
        ledger: Ledger | None = None,
        privacy: Privacy | None = None,
        epochs: Epochs | None = None,
    ) -> None:
        self._read = read
        self._ledger = ledger or alone()
        limits = config.limits
        most, self._room = capacities(config, self._ledger.workers)
        self.engine = Engine(half_closed=limits.half_closed, on_bug=_bug)
        self._own: list[Endpoint] = []
        self._admission = Admission(config.listen.clients, most, limits.per_client, self._ledger.tally)
        self._listeners: list[Listener] = []
        self._complaints = Complaints(log.warning)
        self._privacy = privacy or Privacy(names=config.log.names)
        self.counters = log.Counters()
        self._identities = Identities(
            lambda: self.engine.now, self._ledger.key, config.limits.identities, epochs, self._ledger.purse
        )
        self._identities.configure(config.identities, config.limits.identities)
        self.engine.on_sweep.append(self._identities.sweep)
        # Also where nothing is said for hours: a key that is over must not stay in memory.
        self.engine.on_sweep.append(lambda _now: self._privacy.turn())
        self._lasting = Lasting(
            engine=self.engine,
            pipes=Pipes(limits.pipe_bytes),
            own=self._own,
            counters=self.counters,
            ledger=self._ledger,
            identities=self._identities,
            finished=self._finished,
            left=self._admission.leave,
        )
        self._registrar = Registrar(self._identities, self._privacy, lambda: self._generations, self.engine)
        self.commands: dict[str, Command] = {
            "status": self._tell_status,
            "reload": self._tell_reload,
            "identities": self._registrar.tell,
            "new": self._registrar.tell_new,
            "forget": self._registrar.tell_forget,
        }
        self.between_workers = self._registrar.between_workers
        self._control = Control(self.engine, self.commands)
        self._started = time.monotonic()
        self._tasks: anyio.abc.TaskGroup | None = None
        self._reloading = anyio.Lock()
        self._generation = Generation(config, self._lasting)
        self._current = self.rooms  # one bound method for all sessions
        self._prepared: Generation | None = None
        # The present one, and those that flows may still go by.
        self._generations = [self._generation]

    @property
    def config(self) -> Config:
        return self._generation.settings

    def rooms(self) -> Rooms:
        """What a flow that begins now begins with."""
        return self._generation.rooms

    def listen(self, openings: Openings) -> tuple[str, ...]:
        """Take connections from what is open; the listeners' addresses."""
        shared = self._ledger.workers > 1
        for sock in openings.listeners:
            listener = Listener(self.engine, sock, self._accepted, shared=shared, room=self._has_room)
            self._listeners.append(listener)
            if not listener.name.startswith("unix:"):
                host, _, port = listener.name.rpartition(":")
                self._own.append(Endpoint(ip_address(host.strip("[]")), int(port)))
        if openings.control is not None:
            self._control.serve(openings.control, shared=shared)
        return openings.names

    async def drain(self) -> None:
        """Accept no more, and let what moves come to its end, for `limits.shutdown` seconds at most."""
        self._close_listeners()
        self.engine.stopping = True
        stopping = Refused(Reason.STOPPING)
        with anyio.move_on_after(self.config.limits.shutdown):
            while self.engine.fibers:
                self.engine.end_flows(stopping, quiet_for=QUIET)
                with anyio.move_on_after(_LOOK):
                    await self.engine.drained()
        self.engine.end_flows(stopping)
        with anyio.move_on_after(_LAST_WORDS):
            await self.engine.drained()

    async def live(self, tasks: anyio.abc.TaskGroup) -> None:
        """Start the tasks of the rooms in this group."""
        self._tasks = tasks
        await tasks.start(self._generation.run)
        tasks.start_soon(_warm_up, self._generation)

    def status(self) -> Status:
        """How it fares."""
        return status(
            self._generation,
            self.counters,
            listeners=[listener.name for listener in self._listeners],
            live=self._admission.total,
            started=self._started,
        )

    async def reload(self) -> Reloaded:
        """Read the config again and have flows that begin from now on go by it; what changed.

        Listeners stay as they are.

        Raises:
            ConfigError: with every fault; nothing has changed.
            StartError: it cannot be had on this machine; nothing has changed.
        """
        if self._read is None or self._tasks is None:
            raise StartError("this gateway was started without a file that could be read again")
        async with self._reloading:
            config = await anyio.to_thread.run_sync(self._read)
            old = self.config
            if config == old:
                return Reloaded(generation=self._generation.number)
            may_follow(old, config)
            await self.prepare(config)
            self.commit()
            return changes(old, config, self._generation.number)

    async def prepare(self, config: Config) -> None:
        """Have all that another config needs, beside what counts now. Nobody goes by it yet.

        Raises:
            StartError: it cannot be had on this machine.
        """
        assert self._tasks is not None, "a gateway that lives"  # noqa: S101
        capacities(config, self._ledger.workers)
        new = Generation(config, self._lasting, self._generation)
        await self._tasks.start(new.run)
        self._prepared = new

    def abandon(self) -> None:
        """What was prepared is not wanted after all."""
        if self._prepared is not None:
            self._prepared.retire()
            self._prepared.close()
            self._prepared = None

    def commit(self) -> None:
        """Have flows that begin from now on go by what was prepared."""
        assert self._tasks is not None  # noqa: S101 - as above
        assert self._prepared is not None, "prepared before"  # noqa: S101
        # Nothing waits here, so that no flow sees half of it.
        old, new, self._prepared = self._generation, self._prepared, None
        config = new.settings
        self._generation = new
        most, self._room = capacities(config, self._ledger.workers)
        self._admission.retune(config.listen.clients, most, config.limits.per_client)
        self.engine.half_closed = config.limits.half_closed
        self._generations.append(new)
        self._identities.configure(config.identities, config.limits.identities)
        self._privacy.names = config.log.names
        log.setup(config.log)
        old.retire()
        self._tasks.start_soon(_warm_up, new)
        self._tasks.start_soon(self._close_later, old)

    def close(self) -> None:
        self._close_listeners()
        self._generation.retire()
        self.engine.shut()
        self._lasting.pipes.close()

    def _has_room(self) -> bool:
        # One that is alone refuses whoever is too many; of several, another may have room.
        return self._ledger.workers == 1 or self._admission.total < self._room

    def _accepted(self, listener: Listener, sock: socket.socket, client: Address | None) -> None:
        try:
            self._admission.enter(client)
        except Refused as refused:
            self.counters.refused[refused.reason] += 1
            sock.close()
            return
        flow = Flow(listener=listener.name, client=client, shared=not listener.local_only)
        session = Session(flow, self._current, local=listener.local_only)
        self.engine.spawn(sock, partial(self._carry, session), session.ended)

    async def _carry(self, session: Session, fiber: Fiber, client: Stream) -> Delegate | None:
        """One connection, from its first byte to its tunnel or its end."""
        session.fiber, session.client = fiber, client
        # Until the client has said what it wants, nothing is lost if it is told to go.
        fiber.resting = True
        limits = session.rooms.limits
        fiber.within(limits.handshake, Reason.HANDSHAKE_TIMEOUT)
        if limits.whole:
            fiber.live_for(limits.whole)
        match await client.read(detect(client.reader)):
            case Protocol.SOCKS5:
                return await serve_socks5(session)
            case Protocol.SOCKS4:
                return await serve_socks4(session)
            case _:
                return await Http(session).serve()

    def _finished(self, flow: Flow) -> None:
        self.counters.finished(flow)
        self._complaints.finished(flow, self.engine.now)
        log.finished(flow, self._privacy)

    async def _close_later(self, generation: Generation) -> None:
        await anyio.sleep(_RETIRE_AFTER)
        generation.close()
        self._generations.remove(generation)

    def _tell_status(self, _asked: Fields) -> Fields:
        return {"status": self.status()}

    async def _tell_reload(self, _asked: Fields) -> Fields:
        # Half a reload is none: whoever asked may leave, and it goes on.
        with anyio.CancelScope(shield=True):
            found = await self._reload_or_decline()
        return {"reloaded": found}

    async def _reload_or_decline(self) -> Reloaded:
        try:
            return await self.reload()
        except ConfigError as error:
            raise Declined("nothing was changed", str(error).splitlines()) from None
        except StartError as error:
            raise Declined(f"nothing was changed: {error}") from None

    def _close_listeners(self) -> None:
        self._control.close()
        while self._listeners:
            self._listeners.pop().close()


def may_follow(old: Config, new: Config) -> None:
    """Judge whether a reload may lead from one config to the other.

    Raises:
        StartError: it would show this machine's address, which nobody has written.
    """
    if new.goes_direct_unasked and not any(route.to == DIRECT for route in old.route):
        # An editor may have emptied the file for a moment: nobody meant to show our address.
        raise StartError('it says no way, and would go out directly: write [[route]] to = "direct"')


def capacities(config: Config, workers: int) -> tuple[int, int]:
    """How many client connections fit into all workers, and into one."""
    try:
        return capacity(config.limits, raise_limit(), workers)
    except ValueError as error:
        raise StartError(str(error)) from None


async def _warm_up(generation: Generation) -> None:
    """Load what the first look-up and the first dial need, while nobody waits for it."""
    try:
        sentences = await anyio.to_thread.run_sync(generation.preload)
    except Refused as refused:
        sentences = (f"a file of certificates cannot be read: {refused.detail}",)
    for sentence in sentences:
        log.warning("{}", setting(sentence))


def _bug(error: BaseException) -> None:
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    where = place(last.tb_frame.f_globals["__name__"], last.tb_lineno) if last else setting("unknown")
    log.error("a bug ended a flow: {} at {}", kind_of(error), where)


async def watch_signals(
    stop: anyio.Event,
    scope: anyio.CancelScope,
    hung_up: Callable[[], Awaitable[None]] | None,
    *,
    task_status: anyio.abc.TaskStatus[None],
) -> None:
    """Set `stop` at the first that ends us, cancel `scope` at the second. Without `hung_up` SIGHUP is one."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
        task_status.started()
        async for number in received:
            if number == signal.SIGHUP and hung_up is not None:
                await hung_up()
                continue
            if stop.is_set():
                scope.cancel()
            stop.set()


async def _reload_and_tell(reload: Callable[[], Awaitable[Reloaded]]) -> None:
    try:
        say_reloaded(await reload())
    except (ConfigError, StartError) as error:
        say_not_reloaded(error)


def say_reloaded(found: Reloaded) -> None:
    """What a reload changed that nobody waits to be told of."""
    log.info("reloaded, changed: {}", settings(found.changed))
    if found.restart:
        log.warning("these change at the next start only: {}", settings(found.restart))


def say_not_reloaded(error: ConfigError | StartError) -> None:
    for line in str(error).splitlines():
        log.error("not reloaded, all goes on as before: {}", setting(line))
