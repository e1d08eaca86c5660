"""Passwords from the environment, and from files that only their owner can read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from anongw.config.secrets import from_environment, from_file

ROOT = os.geteuid() == 0


@contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


def private(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_a_variable() -> None:
    with environment("ANONGW_TEST_PASSWORD", "hunter2 "):
        assert from_environment("ANONGW_TEST_PASSWORD").reveal() == "hunter2 "


def test_a_variable_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match=r"no variable ANONGW_TEST_NONE in the environment.*export"):
        from_environment("ANONGW_TEST_NONE")
    with environment("ANONGW_TEST_EMPTY", ""), pytest.raises(ValueError, match="ANONGW_TEST_EMPTY"):
        from_environment("ANONGW_TEST_EMPTY")


@pytest.mark.parametrize("name", ["hunter2", "Hunter2", "p@ss", "a b", "", "A=B", "A\0B"])
def test_what_may_be_the_password_itself_is_not(name: str) -> None:
    with pytest.raises(ValueError, match="no variable of this name") as caught:
        from_environment(name)
    assert not name or name not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "password"),
    [
        (b"hunter2", "hunter2"),
        (b"hunter2\n", "hunter2"),
        (b"hunter2\r\n", "hunter2"),
        (b" two words \n", " two words "),
        ("pässwörd\n".encode(), "pässwörd"),
        (b"a\n\n", "a\n"),  # only the end of its line; the rest is for `login_fault`
        (b"x" * 4096, "x" * 4096),
    ],
)
def test_a_file(tmp_path: Path, data: bytes, password: str) -> None:
    assert from_file(private(tmp_path / "p", data)).reveal() == password
    (tmp_path / "link").symlink_to("p")
    assert from_file(tmp_path / "link").reveal() == password


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700])
def test_a_file_for_its_owner(tmp_path: Path, mode: int) -> None:
    from_file(private(tmp_path / "p", b"hunter2", mode))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666])
def test_a_file_for_others_too(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ValueError, match=r"p' can be used by others than its owner: chmod 600 it"):
        from_file(private(tmp_path / "p", b"hunter2", mode))


@pytest.mark.skipif(not ROOT, reason="only root can give files away")
def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    path = private(tmp_path / "p", b"hunter2")
    os.chown(path, 12345, 12345)
    with pytest.raises(ValueError, match="belongs to somebody else"):
        from_file(path)


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"", "is empty"), (b"\n", "is empty"), (b"caf\xe9", "is not UTF-8"), (b"x" * 4097, "longer than 4096")],
)
def test_a_file_without_a_password(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        from_file(private(tmp_path / "p", data))


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path, says in ((tmp_path / "pipe", "no regular file"), (tmp_path / "none", "No such file")):
        with pytest.raises(ValueError, match=says):
            from_file(path)
    with pytest.raises(ValueError, match="is no regular file"):
        from_file(tmp_path)
