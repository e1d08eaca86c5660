"""A capture that other programs can read."""

import struct
from pathlib import Path

from anongw.lab import pcap
from anongw.lab.capture import UDP, Packet


def test_every_packet_is_in_it_from_its_ip_header_on(tmp_path: Path) -> None:
    whole = b"\x45\x00 an IP packet"
    packet = Packet(UDP, "20.0.0.1", 1, "20.0.0.2", 2, b"", whole, at=7.25)
    pcap.write(tmp_path / "one.pcap", [packet])
    data = (tmp_path / "one.pcap").read_bytes()
    assert struct.unpack("=IHH", data[:8]) == (0xA1B2C3D4, 2, 4)
    assert struct.unpack("=I", data[20:24]) == (101,), "LINKTYPE_RAW"
    assert struct.unpack("=IIII", data[24:40]) == (7, 250_000, len(whole), len(whole))
    assert data[40:] == whole
