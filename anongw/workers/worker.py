"""One gateway among several, in a process that was forked for it.

It is what `gateway.serve` is for one that is alone, with two differences: what it listens on was bound by its
parent, and its parent tells it what to do. What is asked of its control socket is asked of all workers.

A signal to one worker alone has it end in its own time; its parent puts another in its place.
"""

import inspect
import itertools
from functools import partial

import anyio
import anyio.abc

from anongw.config import Config
from anongw.control import Command, Declined
from anongw.errors import Reason, StartError
from anongw.gateway import Gateway, watch_signals
from anongw.identities import Epochs
from anongw.ledger import Ledger
from anongw.openings import Openings
from anongw.privacy import Privacy
from anongw.wire.control import Fields
from anongw.workers.channel import (
    Abandon,
    Answer,
    Ask,
    Channel,
    Commit,
    End,
    Ended,
    Prepare,
    Ready,
    Stop,
    ToParent,
    ToWorker,
)
from anongw.workers.shares import share


async def work(  # noqa: PLR0913, PLR0917 - one fact each
    config: Config, ledger: Ledger, openings: Openings, privacy: Privacy, epochs: Epochs, channel: Channel
) -> None:
    """Serve until told to stop.

    Args:
        config: the whole gateway's.
        ledger: what this worker shares with the others.
        openings: where they all listen.
        privacy: with the key that all of them say names by.
        epochs: those of identities that were begun before it was forked.
        channel: to the parent.

    Raises:
        StartError: something cannot be had.

    """
    gateway = Gateway(share(config, ledger.index), ledger=ledger, privacy=privacy, epochs=epochs)
    worker = _Worker(gateway, ledger.index, channel)
    try:
        gateway.listen(openings)
        async with anyio.create_task_group() as tasks:
            await tasks.start(gateway.engine.run)
            await gateway.live(tasks)
            await tasks.start(watch_signals, worker.stop, tasks.cancel_scope, _nothing)
            tasks.start_soon(worker.obey, tasks.cancel_scope)
            channel.send(Ready())
            await worker.stop.wait()
            await gateway.drain()
            tasks.cancel_scope.cancel()
    finally:
        gateway.close()
    channel.send(Ended(gateway.counters))


class _Worker:
    """Both directions of the channel."""

    def __init__(self, gateway: Gateway, index: int, channel: Channel) -> None:
        self.stop = anyio.Event()
        self._gateway = gateway
        self._index = index
        self._channel = channel
        self._numbers = itertools.count()
        self._answers: dict[int, Answer] = {}
        self._answered: dict[int, anyio.Event] = {}
        self._own: dict[str, Command] = {**gateway.commands, **gateway.between_workers}
        for command in tuple(gateway.commands):
            gateway.commands[command] = partial(self._ask, command)

    async def obey(self, scope: anyio.CancelScope) -> None:
        """Do what the parent says, in its order; end at once where it is gone."""
        while True:
            await anyio.wait_readable(self._channel.sock)
            try:
                messages = self._channel.receive()
            except EOFError:
                scope.cancel()
                return
            for message in messages:
                await self._do(message, scope)

    async def _do(self, message: ToWorker | ToParent, scope: anyio.CancelScope) -> None:
        match message:
            case Ask():
                self._channel.send(await self._asked(message))
            case Prepare():
                self._channel.send(await self._prepared(message))
            case Commit():
                self._gateway.commit()
            case Abandon():
                self._gateway.abandon()
            case Answer(number):
                if event := self._answered.pop(number, None):
                    self._answers[number] = message
                    event.set()
            case Stop():
                self.stop.set()
            case End():
                scope.cancel()
            case _:
                raise TypeError(f"{type(message).__name__} is for the parent")

    async def _asked(self, message: Ask) -> Answer:
        command = self._own[message.command]
        try:
            found = command(message.arguments)
            fields: Fields = await found if inspect.isawaitable(found) else found
        except Declined as declined:
            return Answer(message.number, error=str(declined), faults=declined.faults)
        except Exception as bug:  # noqa: BLE001 - whatever it is, it is no reason to end
            return self._failed(message.number, bug)
        return Answer(message.number, fields)

    async def _prepared(self, message: Prepare) -> Answer:
        try:
            await self._gateway.prepare(share(message.config, self._index))
        except StartError as error:
            return Answer(message.number, error=str(error))
        except Exception as bug:  # noqa: BLE001 - as above
            return self._failed(message.number, bug)
        return Answer(message.number)

    def _failed(self, number: int, bug: Exception) -> Answer:
        self._gateway.engine.note_bug(bug)
        return Answer(number, error=Reason.INTERNAL.value)

    async def _ask(self, command: str, arguments: Fields) -> Fields:
        """A client of the control socket asked here: the parent asks everybody."""
        number = next(self._numbers)
        answered = self._answered[number] = anyio.Event()
        self._channel.send(Ask(number, command, arguments))
        try:
            await answered.wait()
        finally:
            self._answered.pop(number, None)
        answer = self._answers.pop(number)
        if answer.error:
            raise Declined(answer.error, answer.faults)
        return answer.fields


async def _nothing() -> None:
    """SIGHUP is the parent's business; a terminal that closes tells both."""
