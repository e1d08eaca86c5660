"""A worker's side of the channel: a real gateway in this process, and the test as its parent."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest

from anongw.config import Config, load
from anongw.control import Status
from anongw.identities import Epochs
from anongw.ledger import Books
from anongw.openings import Openings, open_all
from anongw.privacy import Privacy
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
    pair,
)
from anongw.workers.worker import work
from tests.support.programs import PATIENCE


def config(folder: Path, *sets: str) -> Config:
    fixed = ('listen.addresses=["127.0.0.1:0"]', "listen.workers=2", f"control.socket={folder}/control")
    return load(None, (*fixed, "limits.shutdown=1s", *sets))


class Parent:
    """The other end of the channel."""

    def __init__(self, channel: Channel, openings: Openings) -> None:
        self.channel = channel
        self.openings = openings
        self._heard: list[ToWorker | ToParent] = []

    def say(self, message: ToWorker) -> None:
        self.channel.send(message)

    async def hear(self) -> ToWorker | ToParent:
        with anyio.fail_after(PATIENCE):
            while not self._heard:
                await anyio.wait_readable(self.channel.sock)
                self._heard += self.channel.receive()
        return self._heard.pop(0)

    async def status(self) -> Status:
        self.say(Ask(7, "status", {}))
        answer = await self.hear()
        assert isinstance(answer, Answer)
        assert answer.number == 7
        found = answer.fields["status"]
        assert isinstance(found, Status)
        return found


@asynccontextmanager
async def worked(folder: Path) -> AsyncIterator[Parent]:
    """It serves; at the end of the block it must end by itself, and say so."""
    settings = config(folder)
    ours, theirs = pair()
    openings = open_all(settings)
    with Books(2, stays=10, stay_bytes=80, standings=10, numbers=5) as books:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(work, settings, books.worker(1), openings, Privacy(), Epochs(), theirs))
            parent = Parent(ours, openings)
            assert await parent.hear() == Ready()
            yield parent
    ours.close()
    theirs.close()
    openings.close()


async def test_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    async with worked(tmp_path) as parent:
        assert (await parent.status()).live == 0
        parent.say(Stop())
        assert isinstance(await parent.hear(), Ended)


async def test_at_once_where_it_shall_not_wait(tmp_path: Path) -> None:
    async with worked(tmp_path) as parent:
        parent.say(End())
        assert isinstance(await parent.hear(), Ended)


async def test_a_file_of_a_socket_is_not_its_to_remove(tmp_path: Path) -> None:
    async with worked(tmp_path) as parent:
        parent.say(Stop())
        assert isinstance(await parent.hear(), Ended)
        assert (tmp_path / "control").exists()


async def test_another_config_counts_once_it_is_committed(tmp_path: Path) -> None:
    async with worked(tmp_path) as parent:
        parent.say(Prepare(1, config(tmp_path, "limits.idle=3h")))
        assert await parent.hear() == Answer(1)
        assert (await parent.status()).generation == 1
        parent.say(Abandon())
        assert (await parent.status()).generation == 1
        parent.say(Prepare(2, config(tmp_path, "limits.idle=4h")))
        assert await parent.hear() == Answer(2)
        parent.say(Commit())
        assert (await parent.status()).generation == 2
        parent.say(Stop())
        assert isinstance(await parent.hear(), Ended)


async def test_one_that_cannot_be_had_is_said(tmp_path: Path) -> None:
    async with worked(tmp_path) as parent:
        parent.say(Prepare(3, config(tmp_path, "limits.connections=100000000")))
        answer = await parent.hear()
        assert isinstance(answer, Answer)
        assert "limits.connections = 100000000 needs" in answer.error
        parent.say(Abandon())
        assert (await parent.status()).generation == 1
        parent.say(Stop())
        assert isinstance(await parent.hear(), Ended)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(0, {"reloaded": [1, 2]}), {"ok": True, "reloaded": [1, 2]}),
        (Answer(0, error="no", faults=("a", "b")), {"ok": False, "error": "no", "faults": ["a", "b"]}),
    ],
)
async def test_who_asks_its_control_socket_asks_all(
    answer: Answer, told: dict[str, object], tmp_path: Path
) -> None:
    async with worked(tmp_path) as parent:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(0)
            client.connect(str(tmp_path / "control"))
            client.send(b'{"command": "reload", "more": 5}\n')
            asked = await parent.hear()
            assert asked == Ask(answer.number, "reload", {"more": 5})
            parent.say(answer)
            await anyio.wait_readable(client)
            assert json.loads(client.recv(4096)) == told
        parent.say(Stop())
        assert isinstance(await parent.hear(), Ended)


async def test_a_bug_in_a_command_ends_nothing(tmp_path: Path) -> None:
    async with worked(tmp_path) as parent:
        parent.say(Ask(5, "renew", {}))  # whose is missing
        assert await parent.hear() == Answer(5, error="internal")
        assert (await parent.status()).live == 0
        parent.say(Stop())
        assert isinstance(await parent.hear(), Ended)
