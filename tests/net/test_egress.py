"""Each option as the kernel has it afterwards, each refusal, and what the kernel would take without a word.

What leaves by which cable is shown in tests/whole/test_egress.py.
"""

import ipaddress
import os
import resource
import shutil
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anongw.address import Address
from anongw.errors import Reason, Refused
from anongw.net.egress import ANYWHERE, INTERFACE_MOST, MARK_MOST, Egress, check
from tests.support.process import ROOT

V4, SECOND_V4, V6 = (ipaddress.ip_address(text) for text in ("127.0.0.1", "127.0.0.2", "::1"))
FAR_4, FAR_6 = ipaddress.ip_address("192.0.2.1"), ipaddress.ip_address("2001:db8::1")
# An ordinary user has no such capability anyway. CAP_NET_RAW is enough for marks as well, since Linux 5.17.
WITHOUT = ("setpriv", "--bounding-set=-net_admin,-net_raw", "--") if os.geteuid() == 0 else ()


def may_mark() -> bool:
    """Whether this process has CAP_NET_ADMIN over the network that it is in."""
    with socket.socket() as sock:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 1)
        except PermissionError:
            return False
    return True


@pytest.fixture(params=[socket.SOCK_STREAM, socket.SOCK_DGRAM])
def sock(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, request.param) as made:
        yield made


@pytest.fixture
def six() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET6) as made:
        yield made


def interface_of(sock: socket.socket) -> str:
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0").decode()


def refusal(egress: Egress, sock: socket.socket, target: Address = FAR_4) -> tuple[Reason, str]:
    with pytest.raises(Refused) as refused:
        egress.apply(sock, target)
    return refused.value.reason, refused.value.detail


def test_anywhere_binds_to_nothing(sock: socket.socket) -> None:
    ANYWHERE.apply(sock, FAR_4)
    assert interface_of(sock) == ""
    assert sock.getsockname() == ("0.0.0.0", 0)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_MARK) == 0


# The interface


def test_an_interface(sock: socket.socket) -> None:
    Egress("lo").apply(sock, FAR_4)
    assert interface_of(sock) == "lo"


def test_an_interface_that_is_not_there(sock: socket.socket) -> None:
    assert refusal(Egress("nowhere0"), sock) == (Reason.EGRESS_GONE, "there is no interface nowhere0")


@pytest.mark.parametrize("target", [V4, SECOND_V4, V6], ids=str)
def test_loopback_is_not_sent_out_of_an_interface(target: Address) -> None:
    # Before it is looked for: what matters is the target.
    with socket.socket(socket.AF_INET if target.version == 4 else socket.AF_INET6) as sock:
        reason, detail = refusal(Egress("nowhere0"), sock, target)
        assert reason is Reason.NETWORK_UNREACHABLE
        assert detail == f"{target} is this machine itself: nowhere0 does not lead there"
        Egress("lo").apply(sock, target)


@pytest.mark.parametrize("name", ["lo\0", "\0", "\0lo", "lo\0nger", "x" * (INTERFACE_MOST + 1)])
def test_a_name_that_the_kernel_would_read_as_another(name: str) -> None:
    with pytest.raises(ValueError, match="is no interface"):
        Egress(name)


def test_the_longest_name_is_looked_for_whole(sock: socket.socket) -> None:
    name = "x" * INTERFACE_MOST
    assert refusal(Egress(name), sock) == (Reason.EGRESS_GONE, f"there is no interface {name}")


NAMES = st.one_of(
    st.just("lo"),
    st.builds("lo{}".format, st.text(max_size=20)),
    st.builds("{}lo".format, st.text(max_size=20)),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
)


def test_any_name_is_bound_to_or_refused() -> None:
    """Never a third thing: no name leaves a socket unbound, or bound to an interface of another name."""
    reached: Counter[str] = Counter()

    @settings(max_examples=300)
    @given(NAMES)
    def play(name: str) -> None:
        with socket.socket() as sock:
            try:
                Egress(name).apply(sock, FAR_4)
            except ValueError:
                reached["written wrong"] += 1
            except Refused as refused:
                reached[refused.reason.value] += 1
            else:
                assert interface_of(sock) == name
                reached["bound"] += 1

    play()
    assert reached.keys() == {"written wrong", "egress-gone", "bound"}


# The source


def test_a_source_without_a_port_until_it_connects(sock: socket.socket) -> None:
    Egress(source=[SECOND_V4]).apply(sock, V4)
    assert sock.getsockname() == ("127.0.0.2", 0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sock.connect(listener.getsockname())
        host, port = sock.getsockname()
        assert host == "127.0.0.2"
        assert port


def test_a_port_serves_for_two_targets_at_once() -> None:
    """What bind chooses, it takes from everybody: some 30 000 connections would be all there are."""
    with (
        socket.socket() as first,
        socket.socket() as second,
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        for sock in (first, second):
            Egress(source=[SECOND_V4]).apply(sock, V4)
        first.connect(one.getsockname())
        # IP_LOCAL_PORT_RANGE (51, Linux 6.3) leaves the second no other port than the first one's.
        port = first.getsockname()[1]
        try:
            second.setsockopt(socket.IPPROTO_IP, 51, struct.pack("I", port << 16 | port))
        except OSError:
            pytest.skip("this kernel has no IP_LOCAL_PORT_RANGE")
        second.connect(other.getsockname())
        assert second.getsockname() == first.getsockname()


def test_one_source_for_each_version(sock: socket.socket, six: socket.socket) -> None:
    both = Egress(source=[V6, SECOND_V4])
    both.apply(sock, FAR_4)
    both.apply(six, FAR_6)
    assert (sock.getsockname()[0], six.getsockname()[0]) == ("127.0.0.2", "::1")


def test_a_version_without_a_source_is_refused(sock: socket.socket, six: socket.socket) -> None:
    gone = Reason.EGRESS_GONE
    assert refusal(Egress(source=[V6]), sock) == (gone, "no source address is set for IPv4")
    assert refusal(Egress(source=[V4]), six, FAR_6) == (gone, "no source address is set for IPv6")


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("192.0.2.7", "192.0.2.7 is no address of this machine"),
        ("2001:db8::7", "2001:db8::7 is no address of this machine"),
        ("fe80::7", "fe80::7 is link-local: name its interface too"),
        ("127.255.255.255", "127.255.255.255 is a broadcast address: nothing can leave from it"),
    ],
)
def test_a_source_that_this_machine_does_not_have(source: str, complaint: str) -> None:
    address = ipaddress.ip_address(source)
    with socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6) as sock:
        target = FAR_4 if address.version == 4 else FAR_6
        assert refusal(Egress(source=[address]), sock, target) == (Reason.EGRESS_GONE, complaint)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (["0.0.0.0"], "0.0.0.0 is no source"),
        (["::"], ":: is no source"),
        (["224.0.0.1"], "224.0.0.1 is no source"),
        (["ff02::1"], "ff02::1 is no source"),
        (["::ffff:127.0.0.1"], "::ffff:7f00:1 is no source"),
        (["fe80::1%lo"], "name what follows the % as the interface"),
        (["127.0.0.1", "::1", "127.0.0.2"], "127.0.0.2 is a second source for IPv4"),
        (["::1", "127.0.0.1", "::2"], "::2 is a second source for IPv6"),
    ],
)
def test_a_source_that_none_can_be(source: list[str], complaint: str) -> None:
    addresses = [ipaddress.ip_address(text) for text in source]
    with pytest.raises(ValueError, match=complaint):
        Egress(source=addresses)
    assert complaint in check("", addresses, 0)


def test_the_same_source_twice_is_one(sock: socket.socket) -> None:
    Egress(source=[V4, V4]).apply(sock, FAR_4)
    assert sock.getsockname()[0] == "127.0.0.1"


# The mark


@pytest.mark.skipif(not may_mark(), reason="setting a mark needs CAP_NET_ADMIN")
@pytest.mark.parametrize("mark", [1, 2**31, MARK_MOST])
def test_a_mark(sock: socket.socket, mark: int) -> None:
    Egress(mark=mark).apply(sock, FAR_4)
    got = sock.getsockopt(socket.SOL_SOCKET, socket.SO_MARK, 4)
    assert struct.unpack("I", got) == (mark,)


@pytest.mark.parametrize("mark", [-1, MARK_MOST + 1])
def test_a_mark_that_does_not_fit(mark: int) -> None:
    with pytest.raises(ValueError, match=f"mark {mark} does not fit"):
        Egress(mark=mark)


@pytest.mark.skipif(bool(WITHOUT) and shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_a_mark_needs_its_capability_and_an_interface_none() -> None:
    program = "from anongw.net.egress import check; print(check('lo', (), 0) or check('lo', (), 7))"
    done = subprocess.run(
        [*WITHOUT, sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, timeout=60
    )
    assert done.stdout == b"setting a mark needs CAP_NET_ADMIN\n"


# All of them


def test_no_descriptor_left_is_no_missing_egress(sock: socket.socket) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        told = refusal(Egress(source=[V4]), sock)
        checked = check("lo", (), 0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert told == (Reason.RESOURCES, "EMFILE")
    assert checked == "no socket for it: Too many open files"


@pytest.mark.parametrize(
    ("interface", "source", "complaint"),
    [
        ("", [], ""),
        ("lo", [], ""),
        ("lo", [V4, V6], ""),
        ("", [V6, SECOND_V4], ""),
        ("nowhere0", [], "there is no interface nowhere0"),
        ("lo", [V4, FAR_6], f"{FAR_6} is no address of this machine"),
        ("x" * 16, [], f'"{"x" * 16}" is no interface: the name of one has at most 15 bytes'),
    ],
)
def test_what_is_missing_is_said(interface: str, source: list[Address], complaint: str) -> None:
    assert check(interface, source, 0) == complaint


@pytest.mark.skipif(not may_mark(), reason="setting a mark needs CAP_NET_ADMIN")
def test_nothing_is_missing_for_a_mark() -> None:
    assert check("lo", [V4], 7) == ""
