"""git over HTTP: its requests are chunked and compressed as it likes, and its own header must pass."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.git_origin import GitServer, git_server, repository
from tests.support.nginx import NAME
from tests.support.programs import output

SCHEMES = ("http", "socks4a", "socks5", "socks5h")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    folder = tmp_path_factory.mktemp("git")
    # So many wants are over 1 KiB, from which on git compresses its request.
    repository(folder, branches=60)
    with git_server(folder) as server:
        yield server


def git(scheme: str, address: str, *words: str | Path) -> list[str | Path]:
    return [
        "git",
        "-c",
        f"http.proxy={scheme}://{address}",
        "-c",
        "user.name=n",
        "-c",
        "user.email=e",
        *words,
    ]


def url(server: GitServer, scheme: str) -> str:
    # The scheme socks5 asks curl to look the name up, and no resolver here knows it.
    return f"http://{'127.0.0.1' if scheme == 'socks5' else NAME}:{server.server_port}/repo.git"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_clone(scheme: str, server: GitServer, address: str, tmp_path: Path) -> None:
    output(git(scheme, address, "clone", "-q", url(server, scheme), "copy"), tmp_path)
    output(["git", "-C", "copy", "fsck", "--strict"], tmp_path)
    heads = output(["git", "-C", "copy", "branch", "-r"], tmp_path)
    assert heads.count(b"origin/branch-") == 60
    assert any(seen.get("content-encoding") == "gzip" for seen in server.seen)


def test_git_protocol_2_is_spoken(server: GitServer, address: str, tmp_path: Path) -> None:
    server.seen.clear()
    output(git("http", address, "ls-remote", "-q", url(server, "http")), tmp_path)
    assert [seen.get("git-protocol") for seen in server.seen] == ["version=2", "version=2"]


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_push_in_chunks(scheme: str, server: GitServer, address: str, tmp_path: Path) -> None:
    output(git(scheme, address, "clone", "-q", url(server, scheme), "copy"), tmp_path)
    copy = tmp_path / "copy"
    # More than http.postBuffer, from which on git sends chunks.
    (copy / "more").write_bytes(os.urandom(3 << 20))
    output(git(scheme, address, "-C", copy, "add", "more"), tmp_path)
    output(git(scheme, address, "-C", copy, "commit", "-q", "-m", "more"), tmp_path)
    server.seen.clear()
    target = f"HEAD:refs/heads/{scheme}"
    output(git(scheme, address, "-C", copy, "push", "-q", "origin", target), tmp_path)
    assert any(seen.get("transfer-encoding") == "chunked" for seen in server.seen)
    pushed = output(["git", "-C", server.folder / "repo.git", "rev-parse", scheme], tmp_path)
    assert pushed == output(["git", "-C", copy, "rev-parse", "HEAD"], tmp_path)
