"""An open connection to a resolver over a socket pair: the test plays the server."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import dns.message
import dns.rrset
from anyio.abc import TaskGroup

from anongw.net.task_stream import TaskStream
from anongw.resolve.link import Link
from anongw.wire.dns import Question


@asynccontextmanager
async def linked(make: Callable[[TaskStream], Link]) -> AsyncIterator[tuple[Link, TaskStream, TaskGroup]]:
    """A running link, the server's end of it, and a task group for askers."""
    ours, theirs = socket.socketpair()
    link = make(TaskStream(ours))
    async with TaskStream(theirs) as server, anyio.create_task_group() as tasks:
        tasks.start_soon(link.run)
        yield link, server, tasks
        tasks.cancel_scope.cancel()


def reply(query: bytes, address: str = "192.0.2.1") -> bytes:
    """A true answer to a query."""
    message = dns.message.from_wire(query)
    answer = dns.message.make_response(message)
    question = message.question[0]
    answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", question.rdtype.name, address))
    return answer.to_wire()


def asked(query: bytes) -> str:
    return dns.message.from_wire(query).question[0].name.to_text(omit_final_dot=True)


class Results(dict[str, object]):
    """What came of each question, by its name."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = anyio.Event()

    async def ask(self, link: Link, question: Question) -> None:
        try:
            self[question.name] = await link.ask(question)
        except Exception as error:  # noqa: BLE001 - the result, whatever it is
            self[question.name] = error
        self._changed.set()
        self._changed = anyio.Event()

    async def until(self, count: int) -> None:
        while len(self) < count:
            await self._changed.wait()
