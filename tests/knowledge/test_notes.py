"""What is said beside the table."""

import msgspec
import pytest

from anongw.config import Chain, Config, Probe
from tests.support.knowledge import ask, chained, config, position
from tests.support.knowledge_cases import HASH

A = "socks5://192.0.2.1"
SHARED = ('listen.addresses=["192.0.2.9:1080"]', 'listen.clients=["192.0.2.0/24"]')
ALICE = f'users={{alice="{HASH.reveal()}"}}'
PICKED = Chain(hop=(position((A, "socks5://192.0.2.2"), pick=2),))


@pytest.mark.parametrize(
    ("settings", "target", "options", "notes"),
    [
        (config(), "example.org:443", {}, ["no route is written"]),
        (config('route=[{to="direct"}]'), "example.org:443", {}, []),
        (chained(A), "example.org:443", {}, []),
        (chained(A), "1.2.3.4:443", {}, ["its own resolver knows"]),
        (chained(A), "example.org:443", {"user": "alice"}, ["who it says it is"]),
        (chained(A, sets=(ALICE,)), "example.org:443", {"user": "alice"}, []),
        (chained(A, sets=(ALICE, *SHARED)), "example.org:443", {"user": "alice"}, ["in the clear"]),
        (chained([A, "direct"]), "example.org:443", {}, ["a member is direct"]),
        (chained("direct"), "example.org:443", {}, []),
        (chained(A, overlays=("onion",)), "a.onion:80", {}, ["its overlay's own"]),
        (
            msgspec.structs.replace(chained(A), chains={"way": PICKED}),
            "example.org:443",
            {},
            ["any member may"],
        ),
        (chained(A, probe=Probe(target="probe.example:443")), "example.org:443", {}, ["probe.example:443"]),
    ],
)
def test_notes(settings: Config, target: str, options: dict[str, str], notes: list[str]) -> None:
    found = ask(settings, target, **options).notes
    assert len(found) == len(notes)
    assert all(part in sentence for part, sentence in zip(notes, found, strict=True))
