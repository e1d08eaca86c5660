"""Packets as they passed an interface, read by a parser of our own: Ethernet, IPv4, IPv6, TCP and UDP.

Anything that is not TCP or UDP over IP is kept with its protocol's number, so that nothing goes unseen. A
`Watch` sees to the same for as long as it lives: a packet that the kernel had no room for is an error.
"""

import ipaddress
import selectors
import socket
import struct
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from anongw.lab.wrong import Wrong, must

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
_IPV4, _IPV6, _ARP = 0x0800, 0x86DD, 0x0806
_HOP_BY_HOP = 0
_FRAME_MOST = 1 << 18  # offloading makes frames larger than any cable would
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16  # RFC 9293 section 3.1
_SEQUENCES = 1 << 32
_SOL_PACKET, _PACKET_STATISTICS = 263, 6  # if_packet.h
_STATISTICS = struct.Struct("II")  # struct tpacket_stats: since they were last asked for

Link = tuple[str, int, str, int]  # one direction of a connection: from where to where


@dataclass(frozen=True)
class Packet:
    protocol: int
    source: str
    source_port: int  # 0 where the protocol has none
    target: str
    target_port: int
    payload: bytes
    whole: bytes  # from the IP header on
    flags: int = 0  # TCP's, as the next one
    sequence: int = 0
    sent: bool = False  # by the machine whose interface it is; else received
    at: float = 0.0  # time.monotonic

    @property
    def link(self) -> Link:
        return self.source, self.source_port, self.target, self.target_port

    @property
    def opens(self) -> bool:
        """Whether it asks for a connection."""
        return self.protocol == TCP and self.flags & (_SYN | _ACK) == _SYN

    @property
    def closes(self) -> bool:
        """Whether nothing comes after it in its direction."""
        return self.protocol == TCP and bool(self.flags & (_FIN | _RST))

    @property
    def edge(self) -> tuple[int, str, int]:
        """Where it goes."""
        return self.protocol, self.target, self.target_port


def parse(frame: bytes, *, sent: bool = False, at: float = 0.0) -> Packet | None:
    """One frame; None for ARP, which belongs to the cable and goes no further."""
    kind = int.from_bytes(frame[12:14], "big")
    ip = frame[14:]
    if kind == _ARP:
        return None
    if kind == _IPV4:
        protocol, start, end = ip[9], (ip[0] & 15) * 4, int.from_bytes(ip[2:4], "big")
        source, target = (str(ipaddress.IPv4Address(ip[at : at + 4])) for at in (12, 16))
    elif kind == _IPV6:
        protocol, start, end = ip[6], 40, 40 + int.from_bytes(ip[4:6], "big")
        source, target = (str(ipaddress.IPv6Address(ip[at : at + 16])) for at in (8, 24))
        if protocol == _HOP_BY_HOP:
            protocol, start = ip[40], start + (ip[41] + 1) * 8
    else:
        raise Wrong(f"a frame of type {kind:#06x}")
    # A frame over 64 KiB says 0 for its length.
    inside = ip[start : end if end > start else None]
    ports = (0, 0)
    header = flags = sequence = 0
    if protocol in (TCP, UDP):
        ports = int.from_bytes(inside[:2], "big"), int.from_bytes(inside[2:4], "big")
        header = 8
    if protocol == TCP:
        header, flags, sequence = (inside[12] >> 4) * 4, inside[13], int.from_bytes(inside[4:8], "big")
    payload = inside[header:]
    return Packet(protocol, source, ports[0], target, ports[1], payload, ip, flags, sequence, sent, at)


def drain(frames: socket.socket) -> list[Packet]:
    """Every packet that has passed since the socket was made or was last drained."""
    frames.settimeout(0)
    found: list[Packet] = []
    while True:
        try:
            frame, where = frames.recvfrom(_FRAME_MOST)
        except BlockingIOError:
            return found
        packet = parse(frame, sent=where[2] == socket.PACKET_OUTGOING, at=time.monotonic())
        # Neighbour discovery and multicast reports are the kernel's, and stay on the cable too.
        if packet is not None and not (packet.protocol == ICMP6 and _is_local_talk(packet)):
            found.append(packet)


def spoken(packets: Iterable[Packet], target: str) -> bytes:
    """All payload that went to an address, in order of sending: retransmissions would only repeat it."""
    return b"".join(packet.payload for packet in packets if packet.target == target)


def streams(packets: Iterable[Packet]) -> list[tuple[Link, bytes]]:
    """What each side of each connection said, put together by its sequence numbers.

    A number that ports have had before is another connection if it was opened anew.
    """
    found: list[_Said] = []
    current: dict[Link, _Said] = {}
    for packet in packets:
        if packet.protocol != TCP:
            continue
        first = (packet.sequence + bool(packet.flags & _SYN)) % _SEQUENCES
        said = current.get(packet.link)
        if said is None or (packet.flags & _SYN and said.first != first):
            said = current[packet.link] = _Said(packet.link, first)
            found.append(said)
        said.add(first, packet.payload)
    return [(said.link, bytes(said.data)) for said in found]


@dataclass
class _Said:
    link: Link
    first: int  # the sequence number of its first byte
    data: bytearray = field(default_factory=bytearray)

    def add(self, sequence: int, payload: bytes) -> None:
        place = (sequence - self.first) % _SEQUENCES
        # What lies before the first byte is a keep-alive probe; a reset's number may be any.
        if payload and place < _SEQUENCES // 2:
            self.data += bytes(max(0, place + len(payload) - len(self.data)))
            self.data[place : place + len(payload)] = payload


class Watch:
    """All that passes some interfaces for as long as the block lasts."""

    def __init__(self, frames: Mapping[str, socket.socket]) -> None:
        self._frames = frames
        self._seen: dict[str, list[Packet]] = {name: [] for name in frames}
        self._lock = threading.Lock()
        self._wrong: list[BaseException] = []

    def take(self) -> dict[str, list[Packet]]:
        """What has passed since the last time: all that was sent by now is in it."""
        with self._lock:
            self._drain()
            taken = self._seen
            self._seen = {name: [] for name in self._frames}
        if self._wrong:
            raise self._wrong[0]
        return taken

    def __enter__(self) -> Self:
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.close()
        self._thread.join()
        self._woken.close()
        for sock in self._frames.values():
            sock.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for sock in (self._woken, *self._frames.values()):
                selector.register(sock, selectors.EVENT_READ)
            try:
                while all(key.fileobj is not self._woken for key, _ in selector.select()):
                    with self._lock:
                        self._drain()
            except BaseException as error:  # noqa: BLE001 - it is raised by `take`
                self._wrong.append(error)

    def _drain(self) -> None:
        for name, sock in self._frames.items():
            self._seen[name] += drain(sock)
            _, lost = _STATISTICS.unpack(sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size))
            must(not lost, f"{lost} packets of {name} went unseen")


def _is_local_talk(packet: Packet) -> bool:
    # Router and neighbour messages are 133 to 137 (RFC 4861 §4), multicast reports 130 to 132 and 143.
    return packet.payload[0] in (*range(130, 138), 143)
