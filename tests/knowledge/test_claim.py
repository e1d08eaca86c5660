"""Whether a chain keeps the client and the destination apart, and who has both where it does not."""

import msgspec
import pytest

from anongw.config import Chain, Config
from tests.support.knowledge import ask, chained, config, position

A, B = "socks5://192.0.2.1", "socks5://192.0.2.2"
S, T = "https://192.0.2.11:443", "https://192.0.2.12:443"
SHARED = ('listen.addresses=["192.0.2.9:1080"]', 'listen.clients=["192.0.2.0/24"]')
QUAD9 = 'resolve.servers=["tls://9.9.9.9#dns.quad9.net"]'


def pooled(*urls: str, before: str = "") -> Config:
    """Two of these in a row, behind another hop or not."""
    hops = (*([position(before)] if before else []), position(urls, pick=2))
    made = chained(A)
    return msgspec.structs.replace(made, chains={"way": Chain(hop=hops)})


@pytest.mark.parametrize(
    ("settings", "both"),
    [
        (chained(A, S), ()),
        (chained(S, T), ()),
        (chained(A, S, B), ()),
        (chained("socks5://127.0.0.1:9050", S), ()),
        (chained(A, B), ("local network", "hop 1")),
        (chained(S, A), ("hop 1",)),
        (chained(A, [S, B]), ("local network", "hop 1")),
        (chained("socks5://127.0.0.1:9050", B), ("hop 1",)),
        # One upstream at two places, one machine at two ports, a hop on the machine of the one before.
        (chained(A, S, A), ("hop 1", "hop 3")),
        (chained(A, "https://192.0.2.1:443"), ("hop 1", "hop 2")),
        (chained(A, "https://127.0.0.1:443"), ("hop 1", "hop 2")),
        (chained("socks5://127.0.0.1:9050", "https://127.0.0.1:443"), ("hop 1", "hop 2")),
        (chained(A, S, "socks5://127.0.0.1"), ()),
        (pooled(S, T), ("hop 1.1", "hop 1.2")),
        (pooled(S, T, before=A), ()),
        (chained(A, S, sets=SHARED), ("line from the client",)),
        (chained(A, S, sets=("log.names=true",)), ("log file",)),
        # Asked for the first hop from here, and for the target through the chain.
        (chained("socks5://a.example", S, names="here", sets=(QUAD9,)), ("resolver tls://9.9.9.9:853",)),
    ],
)
def test_who_has_both(settings: Config, both: tuple[str, ...]) -> None:
    claim = ask(settings, "example.org:443").claim
    assert claim is not None
    assert (claim.holds, claim.both) == (not both, both)
    assert all(name in claim.why for name in both)


@pytest.mark.parametrize(
    "settings", [config(), chained(A), chained([S, T]), chained("direct"), chained([A, "direct"])]
)
def test_what_one_hop_or_none_cannot_claim(settings: Config) -> None:
    assert ask(settings, "example.org:443").claim is None


@pytest.mark.parametrize(
    ("hops", "target"), [((A, S), "10.0.0.1:80"), ((A, "socks4://192.0.2.3"), "[2606:4700::1]:80")]
)
def test_nothing_is_claimed_of_what_is_refused(hops: tuple[str, ...], target: str) -> None:
    assert ask(chained(*hops), target).claim is None


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (chained(A, S), "TLS to hop 2 hides the destination from whoever sees the client"),
        (
            chained(A, B),
            (
                "local network and hop 1 have both; "
                "a later hop that is https would hide the destination from the first"
            ),
        ),
        (chained(A, S, sets=("log.names=true",)), "log file has both"),
    ],
)
def test_the_reason_and_the_cure(settings: Config, why: str) -> None:
    claim = ask(settings, "example.org:443").claim
    assert claim is not None
    assert claim.why == why
