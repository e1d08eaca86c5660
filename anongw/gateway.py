"""The gateway: builds the rooms from the config, and carries one connection from accept to close.

    accept -> detect -> handshake -> policy -> route -> (resolve) -> dial -> answer -> relay | web

`Gateway._carry` is that line as code. What it calls lies in `inbound/` (the handshake and its answers),
behind which `outbound/direct.py` asks policy and resolver before it connects.
"""

import signal
import socket
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address

import anyio
import anyio.abc

from anongw import log
from anongw.address import Address, Endpoint
from anongw.admission import Admission, capacity
from anongw.config import Config
from anongw.errors import Reason, Refused
from anongw.flow import Flow
from anongw.inbound.http import Http
from anongw.inbound.session import Rooms, Session
from anongw.inbound.socks import serve_socks4, serve_socks5
from anongw.net.descriptors import raise_limit
from anongw.net.engine import Engine
from anongw.net.fiber import Delegate, Fiber
from anongw.net.listen import Listener, bind
from anongw.net.pipes import Pipes
from anongw.net.stream import Stream
from anongw.outbound.direct import Direct
from anongw.policy import Policy
from anongw.resolve.resolver import Resolver
from anongw.users import Users
from anongw.web.clean import Clean
from anongw.web.deliver import Delivery
from anongw.web.forward import Forward
from anongw.web.pool import Pool
from anongw.web.rules import compile_rules
from anongw.wire.detect import Protocol, detect

# At a stop, a tunnel in which nothing has moved for so many seconds is taken to be between two uses.
QUIET = 2.0
# Seconds between two looks at which tunnels have become quiet.
_LOOK = 0.25
# Seconds between two complaints about resolvers: each page of a browser would bring twenty.
_COMPLAIN_EVERY = 60.0
# Seconds that flows have to say their last words once the time for stopping is over.
_LAST_WORDS = 2.0


class StartError(Exception):
    """The gateway cannot start. The text is for a person and says what to do."""


async def serve(
    config: Config,
    *,
    ready: Callable[[tuple[str, ...]], None],
    stop: anyio.Event | None = None,
    signals: bool = True,
) -> None:
    """Run a gateway until SIGTERM or SIGINT (if `signals`) or until `stop` is set; then end it gracefully.

    Args:
        config: validated.
        ready: told the listeners' addresses, with their real ports, once all of them accept.
        stop: ends the gateway when set.
        signals: whether to listen to signals; a second one ends without waiting for transfers.

    Raises:
        StartError: a listener or a limit cannot be had.

    """
    stop = stop or anyio.Event()
    gateway = Gateway(config)
    try:
        listeners = gateway.listen()
        async with anyio.create_task_group() as tasks:
            await tasks.start(gateway.engine.run)
            await tasks.start(gateway.resolver.run)
            if signals:
                await tasks.start(_watch_signals, stop, tasks.cancel_scope)
            ready(listeners)
            tasks.start_soon(gateway.warm_up)
            await stop.wait()
            await gateway.drain()
            tasks.cancel_scope.cancel()
    finally:
        gateway.close()
    log.logger.info("stopped: {}", gateway.counters.summary())


class Gateway:
    """The rooms of one config."""

    def __init__(self, config: Config) -> None:
        self._config = config
        limits = config.limits
        try:
            most = capacity(limits, raise_limit())
        except ValueError as error:
            raise StartError(str(error)) from None
        self.engine = Engine(half_closed=limits.half_closed, on_bug=_bug)
        self._own: list[Endpoint] = []
        policy = Policy(config.policy, self._own, zones=config.resolve.zones, hosts=config.resolve.hosts)
        self.resolver = Resolver(config.resolve, allow_private=policy.may_use)
        self._admission = Admission(config.listen.clients, most, limits.per_client)
        self._listeners: list[Listener] = []
        self._complain_after = 0.0
        self.counters = log.Counters()
        dialer = Direct(policy, self.resolver)
        self._pool = Pool(self.engine, limits)
        forward = Forward(dialer, self._pool, limits)
        self._handler = Clean(compile_rules(config.scrub), forward, self.counters)
        self._delivery = Delivery(self._pool, limits)
        self._rooms = Rooms(
            limits=limits,
            users=Users(config.users, limits.password_queue) if config.users else None,
            dialer=dialer,
            pipes=Pipes(limits.pipe_bytes),
            by_destination=config.identity.by_destination,
            finished=self._finished,
            left=self._admission.leave,
        )

    def listen(self) -> tuple[str, ...]:
        """Open every listener, or none; their addresses."""
        for spelling in self._config.listen.addresses:
            try:
                sock = bind(spelling, self._config.listen.backlog)
            except OSError as error:
                raise StartError(f"cannot listen on {spelling}: {error.strerror}") from None
            listener = Listener(self.engine, sock, self._accepted)
            self._listeners.append(listener)
            if not listener.name.startswith("unix:"):
                host, _, port = listener.name.rpartition(":")
                self._own.append(Endpoint(ip_address(host.strip("[]")), int(port)))
        return tuple(listener.name for listener in self._listeners)

    async def drain(self) -> None:
        """Accept no more, and let what moves come to its end, for `limits.shutdown` seconds at most."""
        self._close_listeners()
        self.engine.stopping = True
        stopping = Refused(Reason.STOPPING)
        with anyio.move_on_after(self._config.limits.shutdown):
            while self.engine.fibers:
                self.engine.end_flows(stopping, quiet_for=QUIET)
                with anyio.move_on_after(_LOOK):
                    await self.engine.drained()
        self.engine.end_flows(stopping)
        with anyio.move_on_after(_LAST_WORDS):
            await self.engine.drained()

    async def warm_up(self) -> None:
        """Load what the first look-up needs, while nobody waits for it."""
        try:
            sentences = await anyio.to_thread.run_sync(self.resolver.preload)
        except Refused:
            sentences = ("resolve.ca_file cannot be read: no resolver can be asked over TLS",)
        for sentence in sentences:
            log.logger.warning("{}", sentence)

    def close(self) -> None:
        self._close_listeners()
        self._pool.close()
        self.engine.shut()
        self._rooms.pipes.close()

    def _accepted(self, listener: Listener, sock: socket.socket, client: Address | None) -> None:
        try:
            self._admission.enter(client)
        except Refused as refused:
            self.counters.refused[refused.reason] += 1
            sock.close()
            return
        flow = Flow(listener=listener.name, client=client, shared=not listener.local_only)
        session = Session(flow, self._rooms, local=listener.local_only)
        self.engine.spawn(sock, partial(self._carry, session), session.ended)

    async def _carry(self, session: Session, fiber: Fiber, client: Stream) -> Delegate | None:
        """One connection, from its first byte to its tunnel or its end."""
        session.fiber, session.client = fiber, client
        # Until the client has said what it wants, nothing is lost if it is told to go.
        fiber.resting = True
        limits = self._config.limits
        fiber.within(limits.handshake, Reason.HANDSHAKE_TIMEOUT)
        if limits.whole:
            fiber.live_for(limits.whole)
        match await client.read(detect(client.reader)):
            case Protocol.SOCKS5:
                return await serve_socks5(session)
            case Protocol.SOCKS4:
                return await serve_socks4(session)
            case _:
                return await Http(session, self._handler, self._delivery).serve()

    def _finished(self, flow: Flow) -> None:
        self.counters.finished(flow)
        if flow.reason is Reason.RESOLVER_FAILED and self.engine.now >= self._complain_after:
            # The most likely thing to be wrong on a new machine; no name is needed to say it.
            self._complain_after = self.engine.now + _COMPLAIN_EVERY
            log.logger.warning("no resolver gave an answer to trust; look at the network and resolve.servers")
        log.finished(flow, names=self._config.log.names)

    def _close_listeners(self) -> None:
        while self._listeners:
            self._listeners.pop().close()


def _bug(error: BaseException) -> None:
    # The type and the place, never the text: it may quote what it failed on.
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    # The module's name and not its path, which holds a home directory.
    where = f"{place.tb_frame.f_globals['__name__']}:{place.tb_lineno}" if place is not None else "unknown"
    log.logger.error("a bug ended a flow: {} at {}", type(error).__name__, where)


async def _watch_signals(
    stop: anyio.Event, scope: anyio.CancelScope, *, task_status: anyio.abc.TaskStatus[None]
) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
        task_status.started()
        async for _ in received:
            if stop.is_set():
                scope.cancel()
            stop.set()
