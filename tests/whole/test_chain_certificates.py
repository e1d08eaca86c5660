"""Hops over TLS: who they have to be, and that nobody else hears a word."""

import base64
import hashlib
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support import asks, outside
from tests.support.asks import WAYS
from tests.support.config_file import Table, configured
from tests.support.fake_hop import FakeHop
from tests.support.process import Gateway
from tests.support.upstreams import PASSWORD, USER

NAME = "origin.example"


class Case(NamedTuple):
    """A certificate, and what the chain's file says about it."""

    certificate: trustme.LeafCert
    options: Table

    @property
    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.certificate.configure_cert(context)
        return context


def pin(certificate: bytes) -> str:
    """RFC 7469 §2.4, by another program's hand. `certificate`: PEM, its own the first."""
    key = x509.load_pem_x509_certificates(certificate)[0].public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return "sha256/" + base64.b64encode(hashlib.sha256(spki).digest()).decode()


def cases(folder: Path) -> tuple[dict[str, Case], dict[str, Case]]:
    """Those that are taken, and those that are not."""
    ours, others = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(folder / "ca.pem")
    vouched: Table = {"ca_file": str(folder / "ca.pem")}
    right, named, foreign = (
        ours.issue_cert("127.0.0.1"),
        ours.issue_cert("hop.example"),
        others.issue_cert("127.0.0.1"),
    )
    yesterday = datetime.now(UTC) - timedelta(days=1)
    old = ours.issue_cert("127.0.0.1", not_before=yesterday - timedelta(days=9), not_after=yesterday)
    taken = {
        "vouched for": Case(right, vouched),
        "vouched for, by another name": Case(named, {**vouched, "server_name": "hop.example"}),
        "pinned": Case(foreign, {"pin": pin(foreign.cert_chain_pems[0].bytes())}),
        "pinned, and expired": Case(old, {"pin": pin(old.cert_chain_pems[0].bytes())}),
    }
    refused = {
        "of another authority": Case(foreign, vouched),
        "unknown to the system": Case(right, {}),
        "with another name": Case(named, vouched),
        "with another name than was said": Case(right, {**vouched, "server_name": "hop.example"}),
        "expired": Case(old, vouched),
        "vouched for, and not the pinned one": Case(right, {"pin": pin(foreign.cert_chain_pems[0].bytes())}),
    }
    return taken, refused


class World(NamedTuple):
    gateway: Gateway
    origin: outside.Origin
    hops: dict[str, FakeHop]


@contextmanager
def world(folder: Path, some: dict[str, Case]) -> Iterator[World]:
    """Each hop as the only one of a chain, and as the second of another."""
    with outside.on_loopback({}) as (origin, _), ExitStack() as stack:
        before = stack.enter_context(FakeHop())
        hops = {}
        chains: dict[str, Table] = {}
        for number, (what, case) in enumerate(some.items()):
            hop = FakeHop("http", tls=case.context, users={USER: PASSWORD})
            hops[what] = stack.enter_context(hop)
            hop.names |= {
                f"{place}{number}.example": (origin.host, origin.port) for place in ("only", "second")
            }
            chains[f"only{number}"] = {"hop": [{"url": hop.url, **case.options}]}
            chains[f"second{number}"] = {"hop": [{"url": before.url}, {"url": hop.url, **case.options}]}
        routes = [{"target": [f"{chain}.example"], "to": chain} for chain in chains]
        with configured(folder, chains=chains, route=[*routes, {"to": "refuse"}]) as gateway:
            yield World(gateway, origin, hops)


def test_those_that_are_right(tmp_path: Path) -> None:
    taken, _ = cases(tmp_path)
    with world(tmp_path, taken) as here:
        for number, hop in enumerate(here.hops.values()):
            for place in ("only", "second"):
                asks.served(here.gateway.where, f"{place}{number}.example", here.origin.port)
            assert [one.user for one in hop.seen] == [USER, USER]
        asked = [one.server_name for hop in here.hops.values() for one in hop.seen]
        # An address is no name to ask for (RFC 6066 §3).
        assert set(asked) == {None, "hop.example"}


def test_those_that_are_not_hear_nothing(tmp_path: Path) -> None:
    _, refused = cases(tmp_path)
    with world(tmp_path, refused) as here:
        for number, what in enumerate(refused):
            for place in ("only", "second"):
                for way in WAYS:
                    said = way.ask(f"{place}{number}.example", here.origin.port)
                    heard = asks.exchange(here.gateway.where, said)
                    assert heard == way.refused("hop-tls"), (what, place, way.name)
            assert here.hops[what].seen
            assert here.hops[what].everything.strip() == b"", what
        assert here.origin.heard == []
