"""Names become pseudonyms that nobody can turn back, and no text goes round the layer that makes them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import anongw
from anongw.errors import Reason
from anongw.privacy import ROTATE_EVERY, Kind, Privacy, counts, kind_of, place, setting, settings

ROOM = Path(anongw.__file__).parent
NAMES = ("alice", "user alice", "192.0.2.7", "secret.example:443", "", "a\nb", "\udcff")


class Clock:
    def __init__(self) -> None:
        self.now = 5 * ROTATE_EVERY

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", Kind)
def test_a_pseudonym_has_nothing_of_the_name(kind: Kind, name: str) -> None:
    said = Privacy().say(kind, name)
    front, mark, digits = said.partition("~")
    assert (front, mark) == (kind.value, "~")
    assert len(digits) == 10
    assert int(digits, 16) >= 0


def test_one_name_has_one_and_no_two_names_or_kinds_or_processes_share_one() -> None:
    privacy = Privacy()
    every = {privacy.say(kind, name) for kind in Kind for name in NAMES}
    assert len(every) == len(Kind) * len(NAMES)
    assert every == {privacy.say(kind, name) for kind in Kind for name in NAMES}
    other = Privacy()
    assert every.isdisjoint(other.say(kind, name) for kind in Kind for name in NAMES)


def test_another_hour_has_other_pseudonyms_and_those_of_the_last_are_still_understood() -> None:
    clock = Clock()
    privacy = Privacy(now=clock)
    said = [privacy.say(Kind.IDENTITY, "alice")]
    for _ in range(3):
        clock.now += ROTATE_EVERY
        said.append(privacy.say(Kind.IDENTITY, "alice"))
    assert len(set(said)) == len(said)
    assert [privacy.means(Kind.IDENTITY, one, "alice") for one in said] == [False, False, True, True]
    assert not privacy.means(Kind.IDENTITY, said[-1], "bob")
    assert privacy.means(Kind.IDENTITY, "alice", "alice")


def test_the_key_of_an_hour_that_is_over_is_gone() -> None:
    """Whoever reads this process's memory later has none of the keys that old lines were written under."""
    clock = Clock()
    root = bytes(range(32))
    privacy = Privacy(root=root, now=clock)

    def keys() -> set[bytes]:
        return {value for value in vars(privacy).values() if isinstance(value, bytes)}

    old = keys()
    assert root not in old, "hours have passed since the clock began"
    clock.now += 2 * ROTATE_EVERY
    privacy.say(Kind.USER, "alice")
    assert keys().isdisjoint(old)


def test_processes_that_share_a_root_agree_whenever_they_began() -> None:
    clock = Clock()
    root = bytes(range(32))
    early = Privacy(root=root, now=clock)
    clock.now += 7 * ROTATE_EVERY
    assert early.say(Kind.USER, "alice") == Privacy(root=root, now=clock).say(Kind.USER, "alice")


def test_what_was_said_before_is_understood_no_more_once_it_is_to_be_forgotten() -> None:
    root, clock = bytes(32), Clock()
    privacy, other = Privacy(root=root, now=clock), Privacy(root=root, now=clock)
    before = privacy.say(Kind.IDENTITY, "alice")
    for one in (privacy, other):
        one.forget("nonce")
    after = privacy.say(Kind.IDENTITY, "alice")
    assert before != after
    assert not privacy.means(Kind.IDENTITY, before, "alice")
    assert other.say(Kind.IDENTITY, "alice") == after, "all processes forget alike"


def test_names_are_said_where_the_user_wants_it() -> None:
    privacy = Privacy(names=True)
    assert privacy.say(Kind.USER, "alice") == "alice"
    privacy.names = False
    assert privacy.say(Kind.USER, "alice").startswith("user~")


def test_an_exception_is_its_kind_and_its_place() -> None:
    assert kind_of(ValueError("secret.example")) == kind_of(ValueError) == "ValueError"
    assert place("anongw.gateway", 7) == "anongw.gateway:7"


def test_counts_and_settings() -> None:
    assert counts({Reason.PROBE: 1, Reason.FORBIDDEN: 2}) == "2 forbidden, 1 probe"
    assert counts({}) == "none"
    assert settings(("limits.idle", "route")) == "limits.idle, route"
    assert settings(()) == "nothing"
    assert setting("tor") == "tor"


# Nothing goes round it


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Every call in the package: the file, what is called as it is written, and the call."""
    for path in sorted(ROOM.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield str(path.relative_to(ROOM)), ast.unparse(node.func), node


def test_only_the_layer_makes_text_that_may_be_said() -> None:
    assert {file for file, called, _ in calls() if called.rpartition(".")[2] == "Shown"} == {"privacy.py"}


def test_only_the_log_writes_lines_and_each_is_a_constant() -> None:
    said = 0
    for file, called, call in calls():
        assert "logger" not in called.split(".") or file == "log.py", f"{file}: {called}"
        assert called != "print" or file.startswith("cli/"), f"{file} prints"
        if called in {"log.info", "log.warning", "log.error"}:
            said += 1
            assert isinstance(call.args[0], ast.Constant), f"{file}: a line that is made up as it goes"
    assert said > 5
