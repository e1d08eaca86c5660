"""What a stand-in remembers of a connection."""

from anongw.lab.hop_script import Seen


def test_what_it_carried_begins_where_the_handshake_ended() -> None:
    seen = Seen(("127.0.0.1", 1), heard=bytearray(b"\x05\x01\x00hello"), host="a.example", port=80)
    assert seen.carried == b""
    seen.payload = 3
    assert seen.carried == b"hello"
    assert seen.target == ("a.example", 80)
