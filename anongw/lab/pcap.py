"""Packets as a file that Wireshark and tcpdump read (libpcap, link type RAW: IP without a cable)."""

import struct
from collections.abc import Iterable
from pathlib import Path

from anongw.lab.capture import Packet

_MAGIC, _SNAPLEN, _RAW = 0xA1B2C3D4, 1 << 18, 101


def write(path: Path, packets: Iterable[Packet]) -> None:
    """Their times count from the recorder's own beginning."""
    with path.open("wb") as file:
        file.write(struct.pack("=IHHiIII", _MAGIC, 2, 4, 0, 0, _SNAPLEN, _RAW))
        for packet in packets:
            seconds, part = divmod(packet.at, 1)
            size = len(packet.whole)
            file.write(struct.pack("=IIII", int(seconds), int(part * 1e6), size, size) + packet.whole)
