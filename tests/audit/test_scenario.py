"""Which errand most scenarios go by, and what is certain of it."""

import pytest

from anongw.audit.canaries import ZONE
from anongw.audit.scenario import known, main_errand
from anongw.audit.ways import SPOKEN, Errand
from anongw.config import Config, load
from anongw.users import hash_password


def errand(to: str = "direct", suffix: str = ZONE, **more: object) -> Errand:
    return Errand(0, to, suffix, 80, SPOKEN, "127.0.0.1:1080", **more)  # type: ignore[arg-type]


def test_the_last_that_arrives_by_a_name_of_ours_is_the_main_one() -> None:
    literal, exact = errand(suffix="192.0.2.7", exact=True), errand(suffix="a.example", exact=True)
    first, second = errand(suffix="b.example"), errand()
    assert main_errand([first, second, literal, exact, errand("refuse")]) is second
    assert main_errand([errand("refuse")]).to == "refuse"


@pytest.mark.parametrize(
    ("wanted", "certain"),
    [
        (errand(), True),
        (errand("refuse"), False),
        (errand(allowed=False), False),
        (errand(suffix="onion"), None),
        (errand(suffix="lab.internal"), None),
        (errand(suffix="192.0.2.7", exact=True), None),
    ],
)
def test_what_is_certain(wanted: Errand, certain: bool | None) -> None:  # noqa: FBT001 - what is certain
    assert known(Config(), wanted, "socks5") is certain


def test_where_passwords_are_asked_for_socks4_is_not_carried() -> None:
    users = load(None, (f'users={{alice="{hash_password("word")}"}}',))
    assert known(users, errand(), "socks4") is False
    assert known(users, errand(), "socks5") is True
