"""Passwords: memory-hard, one at a time, a bounded queue, good ones remembered as a digest."""

import threading

import anyio
import anyio.lowlevel
import pytest

from anongw.config import PasswordHash
from anongw.errors import Reason, Refused
from anongw.users import PASSWORD_MOST, Users, hash_password, parse_hash, verify

HASHES = {"alice": parse_hash(hash_password("right")), "bob": parse_hash(hash_password(b"\xff other"))}


def test_a_hash_reads_back_and_is_of_its_password_only() -> None:
    text = hash_password("pässword")
    right = parse_hash(text)
    assert (right.n, right.r, right.p) == (1 << 14, 8, 1)
    assert verify("pässword".encode(), right)
    assert not verify(b"password", right)
    assert "pässword" not in text
    assert hash_password("pässword") != text, "each hash has a salt of its own"


@pytest.mark.parametrize("password", ["", b"", "a\0", b"a\0b", "x" * (PASSWORD_MOST + 1), "ü" * 128])
def test_a_password_that_no_protocol_could_carry_has_no_hash(password: str | bytes) -> None:
    with pytest.raises(ValueError, match="1 to 255 bytes"):
        hash_password(password)


@pytest.mark.parametrize(
    ("name", "password", "right"),
    [
        (b"alice", b"right", True),
        (b"alice", b"wrong", False),
        (b"alice", b"", False),
        (b"alice", b"right\x00", False),
        (b"Alice", b"right", False),
        (b"alic", b"eright", False),
        (b"bob", b"\xff other", True),
        (b"bob", b"right", False),
        (b"nobody", b"right", False),
        (b"", b"", False),
        (b"\xff\xfe", b"right", False),
    ],
)
async def test_who_is_right(name: bytes, password: bytes, right: bool) -> None:  # noqa: FBT001
    users = Users(HASHES, 8)
    assert not users.remembered(name, password)
    assert await users.check(name, password) is right
    assert users.remembered(name, password) is right
    assert await users.check(name, password) is right


async def test_a_good_login_is_remembered_for_that_pair_only() -> None:
    users = Users(HASHES, 8)
    assert await users.check(b"alice", b"right")
    for name, password in ((b"alice", b"wrong"), (b"alice", b""), (b"bob", b"right"), (b"alicer", b"ight")):
        assert not users.remembered(name, password)
    assert not Users(HASHES, 8).remembered(b"alice", b"right"), "another process has another key"


async def test_a_login_is_checked_anew_once_it_is_forgotten() -> None:
    users = Users(HASHES, 8)
    assert await users.check(b"alice", b"right")
    users.forget(b"bob")
    assert users.remembered(b"alice", b"right")
    users.forget(b"alice")
    assert not users.remembered(b"alice", b"right")
    assert await users.check(b"alice", b"right")
    users.forget()
    assert not users.remembered(b"alice", b"right")


async def test_what_is_remembered_holds_no_password() -> None:
    users = Users(HASHES, 8)
    await users.check(b"alice", b"right")
    assert b"right" not in b"".join(users._right.values())
    assert len(users._right) == 1


async def test_one_at_a_time_and_no_more_waiting_than_may() -> None:
    users = Gated(HASHES, 3)
    answers: list[bool | Reason] = []

    async def login() -> None:
        try:
            answers.append(await users.check(b"alice", b"wrong"))
        except Refused as refused:
            answers.append(refused.reason)

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(login)
        while len(answers) < 2:  # the two beyond the queue are told at once
            await anyio.lowlevel.checkpoint()
        assert answers == [Reason.TOO_MANY, Reason.TOO_MANY]
        users.gate.set()
    assert answers[2:] == [False, False, False]
    assert users.most_at_once == 1
    assert await users.check(b"alice", b"wrong") is False, "the queue is free again"


async def test_one_check_answers_for_all_who_ask_the_same_at_once() -> None:
    users = Gated(HASHES, 8)
    answers: list[bool] = []

    async def ask(password: bytes) -> None:
        answers.append(await users.check(b"alice", password))

    async with anyio.create_task_group() as group:
        for password in (b"right", b"right", b"right", b"wrong", b"wrong"):
            group.start_soon(ask, password)
        while users._waiting < 5:
            await anyio.lowlevel.checkpoint()
        users.gate.set()
    assert sorted(answers) == [False, False, True, True, True]
    # What is wrong is remembered by nobody: each of those is checked.
    assert users.checks == 3


async def test_a_client_that_leaves_gives_its_place_up() -> None:
    users = Gated(HASHES, 1)
    async with anyio.create_task_group() as group:
        group.start_soon(users.check, b"alice", b"wrong")
        while not users._waiting:
            await anyio.lowlevel.checkpoint()
        with pytest.raises(Refused):
            await users.check(b"alice", b"wrong")
        users.gate.set()
        group.cancel_scope.cancel()
    assert users._waiting == 0
    assert await users.check(b"alice", b"right")


class Gated(Users):
    """Users whose checks wait in their thread until the gate opens, and are counted."""

    def __init__(self, hashes: dict[str, PasswordHash], queue_most: int) -> None:
        super().__init__(hashes, queue_most)
        self.gate = threading.Event()
        self._now = 0
        self.most_at_once = 0
        self.checks = 0

    def _verify(self, name: bytes, password: bytes) -> bool:
        self._now += 1
        self.checks += 1
        self.most_at_once = max(self.most_at_once, self._now)
        self.gate.wait(10)
        right = super()._verify(name, password)
        self._now -= 1
        return right


def test_an_unknown_name_is_held_against_the_dearest_hash() -> None:
    dear = PasswordHash(f"$scrypt$ln=16,r=8,p=2${'A' * 22}${'B' * 43}")
    dummy = Users(HASHES | {"carol": dear}, 8)._dummy
    assert (dummy.n, dummy.r, dummy.p) == (dear.n, dear.r, dear.p)
    assert dummy.key != dear.key


async def test_an_unknown_name_is_wrong_even_with_the_password_of_its_stand_in() -> None:
    users = Users(HASHES, 8)
    users._dummy = HASHES["alice"]
    assert not await users.check(b"nobody", b"right")
