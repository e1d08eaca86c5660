"""Packets as they passed an interface, read by a parser of our own: Ethernet, IPv4, IPv6, TCP and UDP.

Anything that is not TCP or UDP over IP is kept with its protocol's number, so that nothing goes unseen.
"""

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
_IPV4, _IPV6, _ARP = 0x0800, 0x86DD, 0x0806
_HOP_BY_HOP = 0
_FRAME_MOST = 1 << 18  # offloading makes frames larger than any cable would


@dataclass(frozen=True)
class Packet:
    protocol: int
    source: str
    source_port: int  # 0 where the protocol has none
    target: str
    target_port: int
    payload: bytes
    whole: bytes  # from the IP header on

    @property
    def edge(self) -> tuple[int, str, int]:
        """Where it goes."""
        return self.protocol, self.target, self.target_port


def parse(frame: bytes) -> Packet | None:
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
        raise AssertionError(f"a frame of type {kind:#06x}")
    # A frame over 64 KiB says 0 for its length.
    inside = ip[start : end if end > start else None]
    ports = (0, 0)
    if protocol in (TCP, UDP):
        ports = int.from_bytes(inside[:2], "big"), int.from_bytes(inside[2:4], "big")
    header = {TCP: (inside[12] >> 4) * 4 if protocol == TCP else 0, UDP: 8}.get(protocol, 0)
    return Packet(protocol, source, ports[0], target, ports[1], inside[header:], ip)


def drain(frames: socket.socket) -> list[Packet]:
    """Every packet that has passed since the socket was made or was last drained."""
    frames.settimeout(0)
    found: list[Packet] = []
    while True:
        try:
            frame = frames.recv(_FRAME_MOST)
        except BlockingIOError:
            return found
        packet = parse(frame)
        # Neighbour discovery and multicast reports are the kernel's, and stay on the cable too.
        if packet is not None and not (packet.protocol == ICMP6 and _is_local_talk(packet)):
            found.append(packet)


def spoken(packets: Iterable[Packet], target: str) -> bytes:
    """All payload that went to an address, in order of sending: retransmissions would only repeat it."""
    return b"".join(packet.payload for packet in packets if packet.target == target)


def _is_local_talk(packet: Packet) -> bool:
    # Router and neighbour messages are 133 to 137 (RFC 4861 §4), multicast reports 130 to 132 and 143.
    return packet.payload[0] in (*range(130, 138), 143)
