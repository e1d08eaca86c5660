"""`anongw identity`: what is asked of a gateway, what is printed, how it fails."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from anongw.cli import main
from anongw.control import Declined, Forgotten, IdentityStatus, Renewed
from anongw.wire.control import Fields
from tests.cli.test_status import serving

LISTED = (
    IdentityStatus(
        name="identity~1", epoch=1, age=61.5, live=0, flows=3, sent=10, received=2000, ways=("one", "direct")
    ),
    IdentityStatus(name="identity~\x1b2", epoch=2, age=5, live=4, flows=0, sent=0, received=0, ways=()),
)


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


class Registry:
    """Answers, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Fields] = []

    def listed(self, asked: Fields) -> Fields:
        self.asked.append(asked)
        return {"identities": LISTED}

    def new(self, asked: Fields) -> Fields:
        self.asked.append(asked)
        return {"renewed": Renewed(identities=2, running=3)}

    def forget(self, asked: Fields) -> Fields:
        self.asked.append(asked)
        if asked["name"] == "nobody":
            raise Declined("nobody of that name is known")
        remains = ("what others have seen", "a \x1b of the kernel")
        return {"forgotten": Forgotten(identities=1, closed=2, kept=3, answers=4, remains=remains)}


def invoke(backend: str, *arguments: str) -> tuple[Result, list[Fields]]:
    registry = Registry()
    with serving(backend, identities=registry.listed, new=registry.new, forget=registry.forget):
        return CliRunner().invoke(main, ("identity", *arguments)), registry.asked


def test_a_list_for_people_has_those_with_connections_first(anyio_backend: str) -> None:
    done, _ = invoke(anyio_backend, "list")
    assert [line.split() for line in done.output.splitlines()] == [
        ["identity", "epoch", "since", "now", "flows", "sent", "received", "ways"],
        ["identity~\\x1b2", "2", "0:00:05", "4", "0", "0", "bytes", "0", "bytes", "-"],
        ["identity~1", "1", "0:01:01", "0", "3", "10", "bytes", "2.0", "kB", "one,", "direct"],
    ]
    assert done.exit_code == 0


def test_a_list_for_programs_is_json(anyio_backend: str) -> None:
    done, _ = invoke(anyio_backend, "list", "--json")
    assert [one["name"] for one in json.loads(done.output)] == ["identity~1", "identity~\x1b2"]


@pytest.mark.parametrize(("arguments", "name"), [((), "all"), (("work",), "work")])
def test_new(anyio_backend: str, arguments: tuple[str, ...], name: str) -> None:
    done, asked = invoke(anyio_backend, "new", *arguments)
    assert asked == [{"name": name}]
    assert done.output == "a new epoch for 2 identities\n3 flows keep what they have until they end\n"


def test_forget_says_what_remains(anyio_backend: str) -> None:
    done, asked = invoke(anyio_backend, "forget", "work")
    assert asked == [{"name": "work"}]
    assert done.output.splitlines() == [
        "forgotten: 1 identities, 2 connections ended, 3 kept ones closed, 4 answers of resolvers dropped",
        "what remains:",
        "  what others have seen",
        "  a \\x1b of the kernel",
    ]


def test_forget_wants_a_name(anyio_backend: str) -> None:
    done, asked = invoke(anyio_backend, "forget")
    assert (done.exit_code, asked) == (2, [])


def test_who_is_not_known(anyio_backend: str) -> None:
    done, _ = invoke(anyio_backend, "forget", "nobody")
    assert done.exit_code == 1
    assert "nobody of that name is known" in done.output


@pytest.mark.parametrize("command", ["list", "new"])
def test_a_gateway_of_another_version(anyio_backend: str, command: str) -> None:
    def other(_asked: Fields) -> Fields:
        return {"identities": "none", "renewed": 7}

    with serving(anyio_backend, identities=other, new=other):
        done = CliRunner().invoke(main, ("identity", command))
    assert done.exit_code == 1
    assert "another version" in done.output
