"""The two ends of a channel: whole messages in their order, however they come, and an end that is told."""

import socket
import struct
from pathlib import Path

import pytest

from anongw.config import load
from anongw.workers.channel import Ask, Commit, Prepare, Ready, pair

CHAIN = 'hop = [{url="socks5://user:hunter2@192.0.2.1"}]'


def test_messages_come_whole_and_in_order() -> None:
    ours, theirs = pair()
    ours.send(Ask(1, "status", {"a": [1, "b"]}))
    ours.send(Commit())
    assert theirs.receive() == [Ask(1, "status", {"a": [1, "b"]}), Commit()]
    assert theirs.receive() == []
    theirs.send(Ready())
    assert ours.receive() == [Ready()]
    for end in (ours, theirs):
        end.close()


def test_a_config_arrives_as_it_was_secrets_and_all(tmp_path: Path) -> None:
    ours, theirs = pair()
    file = tmp_path / "one.toml"
    file.write_text(CHAIN)
    config = load(None, ('policy.deny=["*:25"]', "listen.workers=2"), chain=file)
    ours.send(Prepare(7, config))
    (message,) = theirs.receive()
    assert isinstance(message, Prepare)
    assert message.config == config
    assert (
        message.config.chains["one"].hop[0].members[0].password
        == config.chains["one"].hop[0].members[0].password
    )
    for end in (ours, theirs):
        end.close()


def test_a_message_in_pieces() -> None:
    ours, theirs = pair()
    text = "x" * 3000
    ours.send(Ask(1, text, {}))
    whole = theirs.sock.recv(1 << 16)
    heard = []
    for at in range(0, len(whole), 7):
        ours.sock.send(whole[at : at + 7])
        heard += theirs.receive()
    assert heard == [Ask(1, text, {})]
    for end in (ours, theirs):
        end.close()


def test_the_end_is_told() -> None:
    ours, theirs = pair()
    ours.send(Commit())
    ours.close()
    assert theirs.receive() == [Commit()]
    with pytest.raises(EOFError):
        theirs.receive()
    with pytest.raises(OSError, match="pipe"):
        theirs.send(Ready())
    theirs.close()


def test_one_that_does_not_listen_is_not_waited_for_for_ever() -> None:
    ours, theirs = pair()
    ours.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", 0, 1000))
    with pytest.raises(OSError, match="temporarily"):
        ours.send(Ask(1, "x" * (8 << 20), {}))
    for end in (ours, theirs):
        end.close()
