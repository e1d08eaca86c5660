"""Each rule of `net/tls_client.py`, in memory: no socket is needed."""

import ssl
from collections import Counter
from pathlib import Path

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from anongw.errors import Reason, Refused
from anongw.net.tls import hop_context
from anongw.net.tls_client import RECORD_MOST, TlsClient
from tests.support.libssl import Server, levered
from tests.support.tls_peer import (
    NAME,
    VERSIONS,
    Session,
    TlsPeer,
    authority,
    certificate,
    expired,
    pin_of,
    serving,
    trusting,
)

V3 = ssl.TLSVersion.TLSv1_3


class Nowhere:
    """A carrier that is not used: these tests move the bytes."""

    async def send(self, data: bytes) -> None:
        raise AssertionError

    async def receive(self, most: int = 65536) -> bytes:
        raise AssertionError


class Met:
    """A client and a server, and what moves between them."""

    def __init__(self, client: TlsClient, server: TlsPeer) -> None:
        self.client = client
        self.server = server
        self.session: Session = server.session

    def shake_hands(self) -> None:
        while not self.client.shake_hands(self.server.outgoing.read(), eof=False):
            self.to_server()
            try:
                self.session.do_handshake()
            except ssl.SSLWantReadError:
                continue
        self.to_server()
        self.session.do_handshake()
        assert self.hear() == b""

    def to_server(self) -> None:
        self.server._incoming.write(self.client.take())

    def hear(self) -> bytes:
        """What the client makes of all that the server has said."""
        return self.client.decrypt(self.server.outgoing.read())

    def say(self, data: bytes) -> bytes:
        """What the server makes of it."""
        assert not self.client.encrypt(memoryview(data))
        self.to_server()
        heard = b""
        while len(heard) < len(data):
            heard += self.session.read(len(data))
        return heard


def met(version: ssl.TLSVersion = V3, **options: trustme.LeafCert) -> Met:
    both = Met(TlsClient(trusting(), NAME), TlsPeer.over(Nowhere(), serving(version, **options)))
    both.shake_hands()
    return both


def met_libssl(version: ssl.TLSVersion, folder: Path) -> tuple[Met, Server]:
    peer, server = levered(Nowhere(), version, folder)
    both = Met(TlsClient(trusting(), NAME), peer)
    both.shake_hands()
    return both, server


def refusal(client: TlsClient, server: ssl.SSLContext) -> Refused:
    with pytest.raises(Refused) as refused:
        Met(client, TlsPeer.over(Nowhere(), server)).shake_hands()
    return refused.value


# Who the peer must be


@VERSIONS
@pytest.mark.parametrize("name", [NAME, "HOP.Example."])
def test_a_certificate_that_bears_the_name(version: ssl.TLSVersion, name: str) -> None:
    both = Met(TlsClient(trusting(), name), TlsPeer.over(Nowhere(), serving(version)))
    both.shake_hands()
    assert both.say(b"hello") == b"hello"


@VERSIONS
@pytest.mark.parametrize(
    ("leaf", "name", "told"),
    [
        (certificate(), "other.example", "not valid for 'other.example'"),
        (certificate(), "192.0.2.1", "not valid for '192.0.2.1'"),
        (trustme.CA().issue_cert(NAME), NAME, "unable to get local issuer certificate"),
        (expired(), NAME, "certificate has expired"),
    ],
    ids=["name", "address", "authority", "expired"],
)
def test_a_certificate_that_does_not_verify(
    version: ssl.TLSVersion, leaf: trustme.LeafCert, name: str, told: str
) -> None:
    client = TlsClient(trusting(), name)
    refused = refusal(client, serving(version, leaf))
    assert refused.reason is Reason.HOP_TLS
    assert told in refused.detail
    assert client.waiting, "an alert says so to the peer"


@VERSIONS
@pytest.mark.parametrize("leaf", [certificate(), trustme.CA().issue_cert("x.test"), expired()])
def test_a_pinned_key_is_enough(version: ssl.TLSVersion, leaf: trustme.LeafCert) -> None:
    client = TlsClient(hop_context("", pinned=True), "any.example", pin_of(leaf))
    both = Met(client, TlsPeer.over(Nowhere(), serving(version, leaf)))
    both.shake_hands()
    assert both.say(b"hello") == b"hello"


@VERSIONS
@pytest.mark.parametrize("pin", [bytes(32), pin_of(certificate())[:31], pin_of(certificate()) + b"\0"])
@pytest.mark.parametrize("pinned", [True, False])
def test_any_other_key_is_not(version: ssl.TLSVersion, pin: bytes, pinned: bool) -> None:  # noqa: FBT001
    context = hop_context("", pinned=True) if pinned else trusting()
    refused = refusal(TlsClient(context, NAME, pin), serving(version))
    assert (refused.reason, refused.detail) == (Reason.HOP_TLS, "the hop's key is not the pinned one")


def test_a_pin_does_not_do_instead_of_what_the_context_asks_for() -> None:
    refused = refusal(TlsClient(trusting(), "other.example", pin_of(certificate())), serving(V3))
    assert "not valid for" in refused.detail


def test_a_context_that_verifies_nothing_needs_a_pin() -> None:
    unnamed = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unnamed.check_hostname = False
    for context in (unnamed, hop_context("", pinned=True)):
        with pytest.raises(ValueError, match="pin"):
            TlsClient(context, NAME)


def test_a_name_that_no_certificate_bears() -> None:
    with pytest.raises(Refused) as refused:
        TlsClient(trusting(), "a b")
    assert refused.value.reason is Reason.HOP_TLS


def test_a_peer_with_which_nothing_is_in_common() -> None:
    context = serving(ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Said, because Debian's Python has other defaults than Python's own.
    client.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    authority().configure_trust(client)
    both = Met(TlsClient(client, NAME), TlsPeer.over(Nowhere(), context))
    both.client.shake_hands(b"", eof=False)
    both.to_server()
    with pytest.raises(ssl.SSLError):
        both.session.do_handshake()
    with pytest.raises(Refused) as refused:
        both.client.shake_hands(both.server.outgoing.read(), eof=False)
    assert refused.value.reason is Reason.HOP_TLS
    assert "HANDSHAKE_FAILURE" in refused.value.detail


@pytest.mark.parametrize(
    "said", [b"\0", b"2", b"220 hop.example\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x17\x03"]
)
def test_a_peer_that_speaks_no_tls(said: bytes) -> None:
    client = TlsClient(trusting(), NAME)
    client.shake_hands(b"", eof=False)
    with pytest.raises(Refused) as refused:
        client.shake_hands(said, eof=False)
    assert refused.value.reason is Reason.HOP_MALFORMED


@VERSIONS
def test_an_end_anywhere_in_the_handshake(version: ssl.TLSVersion) -> None:
    def hello() -> tuple[TlsClient, bytes]:
        both = Met(TlsClient(trusting(), NAME), TlsPeer.over(Nowhere(), serving(version)))
        assert not both.client.shake_hands(b"", eof=False)
        both.to_server()
        with pytest.raises(ssl.SSLWantReadError):
            both.session.do_handshake()
        return both.client, both.server.outgoing.read()

    for end in (0, 1, 5, 100, -1):
        client, said = hello()
        with pytest.raises(Refused) as refused:
            client.shake_hands(said[:end], eof=True)
        assert refused.value.reason is Reason.HOP_CLOSED


def test_an_end_that_is_said_in_the_handshake() -> None:
    client = TlsClient(trusting(), NAME)
    client.shake_hands(b"", eof=False)
    with pytest.raises(Refused) as refused:
        client.shake_hands(b"\x15\x03\x03\0\2\1\0", eof=False)  # the alert close_notify
    assert refused.value.reason is Reason.HOP_CLOSED


# What is said


def test_any_bytes_arrive_however_they_are_cut() -> None:
    outcomes: Counter[str] = Counter()
    pieces = st.lists(
        st.tuples(st.sampled_from([1, 100, 2**14 - 1, 2**14, 2**14 + 1, 70_000]), st.integers(1, 400)),
        min_size=1,
        max_size=6,
    )

    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(st.sampled_from(list(ssl.TLSVersion)[-2:]), pieces)
    def run(version: ssl.TLSVersion, script: list[tuple[int, int]]) -> None:
        both = met(version)
        for number, (size, cut) in enumerate(script):
            data = bytes([number]) * size
            assert both.say(data) == data
            sealed = both.server.seal(data)
            heard = [
                both.client.decrypt(sealed[at : at + cut * 41]) for at in range(0, len(sealed), cut * 41)
            ]
            assert b"".join(heard) == data
            assert not both.client.waiting
            outcomes["waited for the rest of a record"] += b"" in heard
            outcomes["several records at once"] += max(map(len, heard)) > RECORD_MOST
        assert not both.client.ended
        assert not both.client.broken

    run()
    assert {"waited for the rest of a record", "several records at once"} <= set(+outcomes), outcomes


@VERSIONS
def test_after_our_last_the_peer_is_still_heard(version: ssl.TLSVersion) -> None:
    both = met(version)
    sealed = both.server.seal(b"under way")
    assert both.client.decrypt(sealed[:-1]) == b""
    both.client.say_last()
    both.to_server()
    assert both.session.read(1) == b"", "close_notify"
    assert both.client.decrypt(sealed[-1:]) == b"under way"
    assert both.client.decrypt(both.server.seal(b"late")) == b"late"
    assert not both.client.ended
    both.session.unwrap()
    assert both.hear() == b""
    assert both.client.ended
    assert not both.client.broken


@VERSIONS
def test_after_its_last_the_peer_still_hears(version: ssl.TLSVersion) -> None:
    both = met(version)
    sealed = both.server.seal(b"last words")
    with pytest.raises(ssl.SSLWantReadError):
        both.session.unwrap()
    assert both.client.decrypt(sealed + both.server.outgoing.read()) == b"last words"
    assert both.client.ended
    assert both.say(b"late") == b"late"
    both.client.say_last()
    both.to_server()
    both.session.unwrap()


@VERSIONS
@pytest.mark.parametrize(
    "nonsense", [b"\x17\x03\x03\0\x20" + bytes(32), b"GET / HTTP/1.1\r\n", b"\x17\x03\x03\xff\xff"]
)
def test_what_breaks_the_rules_breaks_off_and_nothing_before_it_is_lost(
    version: ssl.TLSVersion, nonsense: bytes
) -> None:
    both = met(version)
    assert both.client.decrypt(both.server.seal(b"before") + nonsense) == b"before"
    assert both.client.broken
    assert not both.client.ended
    assert both.client.waiting, "an alert"


def test_an_alert_breaks_off() -> None:
    both = met()
    both.server._incoming.write(b"\x17\x03\x03\0\x20" + bytes(32))
    with pytest.raises(ssl.SSLError):
        both.session.read(1)
    assert both.hear() == b""
    assert both.client.broken


# What TLS says by itself


def test_a_key_update_is_answered_and_changes_nothing_else(tmp_path: Path) -> None:
    both, server = met_libssl(V3, tmp_path)
    server.update_keys()
    assert both.client.decrypt(both.server.seal(b"hello")) == b"hello"
    assert both.client.waiting == 0, "OpenSSL answers along with what is said next"
    assert not both.client.encrypt(memoryview(b"and back"))
    assert both.client.waiting > 2 * 5 + 8 + 16 + 16, "two records"
    both.to_server()
    assert both.session.read(100) == b"and back"
    assert both.say(b"and on") == b"and on"


def test_while_the_peer_is_in_the_middle_of_a_ticket_what_we_say_waits(tmp_path: Path) -> None:
    both, server = met_libssl(V3, tmp_path)
    server.give_a_ticket(2000, most_a_record=512)
    sealed = both.server.outgoing.read()
    assert both.client.decrypt(sealed[:700]) == b""
    rest = both.client.encrypt(memoryview(b"hello"))
    assert (bytes(rest), both.client.waiting) == (b"hello", 0)
    assert both.client.decrypt(sealed[700:]) == b""
    assert both.say(bytes(rest)) == b"hello"


def test_in_the_middle_of_a_ticket_our_last_is_a_cut(tmp_path: Path) -> None:
    both, server = met_libssl(V3, tmp_path)
    server.give_a_ticket(2000, most_a_record=512)
    sealed = both.server.outgoing.read()
    both.client.decrypt(sealed[:700])
    both.client.say_last()
    assert both.client.waiting == 0
    assert both.client.decrypt(sealed[700:]) == b""
    assert both.client.decrypt(both.server.seal(b"late")) == b"late"


def test_a_second_handshake_is_declined(tmp_path: Path) -> None:
    both, server = met_libssl(ssl.TLSVersion.TLSv1_2, tmp_path)
    server.ask_for_another_handshake()
    assert both.hear() == b""
    assert 0 < both.client.waiting < 50, "an alert, no hello"
    assert not both.client.broken
    both.client.take()
    assert both.client.decrypt(both.server.seal(b"hello")) == b"hello"
