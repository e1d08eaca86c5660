"""`anongw audit` on real configs: green where the gateway is ours, and red once for each of its checks.

A gateway with one part replaced (tests/support/leaky.py), or another program, stands in ours' place for that.
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from anongw.audit.checks import CHECKS
from anongw.audit.program import OURS
from anongw.audit.run import Wish, audit
from anongw.audit.verdict import Verdict
from anongw.config import load
from anongw.lab.networks import why_not
from anongw.users import hash_password
from tests.support import leaky
from tests.support.laboratory import two_hops
from tests.support.process import ROOT

CHAINS = ROOT / "chains"
FILES = ("fail-over", "one-hop", "rotating", "tor", "two-hop-mix")
ROUTES = "per-site.toml"  # a config, with chains of its own
pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "namespaces work")


def played(
    only: str = "",
    *sets: str,
    chain: Path | None = None,
    program: Sequence[str] = OURS,
    path: Path | None = None,
) -> Verdict:
    return audit(load(path, sets, chain=chain), Wish(only, program=program))


def words(verdict: Verdict) -> str:
    """What is said of a verdict that should have been clean."""
    return "\n".join(
        f"{row.scenario}: {row.not_tried} {row.wrong}" for row in verdict.rows if not row.is_clean
    )


def whole(verdict: Verdict) -> None:
    """All scenarios were played, and nothing was found."""
    assert verdict.is_clean, words(verdict)
    assert len(verdict.rows) >= 40
    assert verdict.seconds < 180


def test_every_file_is_played() -> None:
    assert {path.name for path in CHAINS.glob("*.toml")} == {*(f"{one}.toml" for one in FILES), ROUTES}


@pytest.mark.parametrize("file", FILES)
def test_nothing_leaks_of_a_chain(file: str) -> None:
    whole(played(chain=CHAINS / f"{file}.toml"))


def test_nothing_leaks_of_routes() -> None:
    whole(played(path=CHAINS / ROUTES))


def test_nothing_leaks_where_everything_goes_directly() -> None:
    whole(played())


# That each check is one

SMALL = "to a"
# By the check that must be red: the sin, the scenarios that show it, and what the config says beside the
# chain.
LEAKS = {
    "edges": ("edges", SMALL, ()),
    "questions": ("questions", SMALL, ('resolve.servers=["udp://9.9.9.9"]',)),
    "names": ("names", SMALL, ()),
    "client": ("client", SMALL, ()),
    "login": ("login", SMALL, ()),
    "headers": ("headers", SMALL, ()),
    "hops": ("hops", SMALL, ()),
    "gateway": ("gateway", SMALL, ()),
    "answers": ("answers", SMALL, ()),
    "log": ("logs", SMALL, ()),
    "identities": ("identities", "two users", ()),
    "smuggling": ("smuggling", "smuggling: two lengths", ()),
    "strangers": ("strangers", "stranger", ()),
    "ended": ("ended", "killed", ()),
    "served": ("served", SMALL, ()),
}


def test_there_is_a_leak_for_every_check() -> None:
    assert list(LEAKS) == [check.name for check in CHECKS]
    assert {sin for sin, _, _ in LEAKS.values()} == set(leaky.SINS)


@pytest.mark.parametrize("check", LEAKS)
def test_a_leak_is_caught(check: str, tmp_path: Path) -> None:
    sin, only, sets = LEAKS[check]
    chain = two_hops(tmp_path)
    program = (sys.executable, "-m", "tests.support.leaky", sin)
    verdict = played(only, *sets, chain=None if check == "strangers" else chain, program=program)
    assert any(check in row.wrong for row in verdict.rows), words(verdict)
    assert list(Path(verdict.kept).glob("scenario-*.pcap")), "what was seen is kept"
    assert not list(Path(verdict.kept).glob("*.key")), "and no key is"
    shutil.rmtree(verdict.kept)


@pytest.mark.parametrize("isolation", ["auth", "tor"])
def test_a_token_that_two_users_share_is_caught(isolation: str) -> None:
    chain = f'chains.a={{hop=[{{url="socks5://192.0.2.10", isolation="{isolation}"}}]}}'
    assert played("two users", chain).is_clean
    program = (sys.executable, "-m", "tests.support.leaky", "identities")
    verdict = played("two users", chain, program=program)
    assert any("token" in sentence for row in verdict.rows for sentence in row.wrong["identities"])
    shutil.rmtree(verdict.kept)


def test_another_program_is_judged_alike() -> None:
    """tinyproxy: it is asked for plain HTTP to an address, and tells the target most of what it knows."""
    program = (sys.executable, "-m", "tests.support.peer_gateway")
    verdict = played("plain http to an ipv4", 'chains.a={hop=[{url="socks5://192.0.2.10"}]}', program=program)
    (row,) = verdict.rows
    assert {"edges", "headers", "gateway"} <= set(row.wrong), words(verdict)
    assert any("host name" in sentence for sentence in row.wrong["gateway"]), "Via: 1.1 and its name"
    shutil.rmtree(verdict.kept)


@pytest.mark.parametrize("only", ["listener", "to a name", "route"])
def test_nothing_leaks_of_listeners_users_and_named_hops(only: str, tmp_path: Path) -> None:
    hashed = hash_password("of the user")
    path = tmp_path / "many.toml"
    path.touch(0o600)
    path.write_text(f"""
        [listen]
        addresses = ["127.0.0.1:1080", "0.0.0.0:1081", "[::1]:1082", "unix:/run/here.sock"]
        clients = ["127.0.0.0/8", "192.168.7.0/24", "::1/128"]
        [users]
        alice = "{hashed}"
        bob = "{hashed}"
        [[chains.three.hop]]
        url = "socks4://entry.example:1080"
        user = "me"
        [[chains.three.hop]]
        url = "https://u:p@203.0.113.5:443"
        pin = "sha256/{"A" * 43}="
        [[chains.three.hop]]
        urls = ["http://last.example:3128", "socks5://[2001:db8::7]"]
        isolation = "auth"
        [[route]]
        identity = ["bob"]
        to = "direct"
        [[route]]
        to = "three"
        """)
    verdict = played(only, path=path)
    assert verdict.is_clean, words(verdict)
