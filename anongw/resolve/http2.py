"""DNS over HTTPS on HTTP/2: one connection, one stream for each question.

What h2 leaves to its user, each with its test: a GOAWAY ends the connection for every question in flight, and
may hide in a ProtocolError; the server's limit on streams binds before a request is sent; a query waits for
its window; every byte received is acknowledged, and everything h2 has to say is sent after every read; no
push; a question that is given up resets its stream and leaves the connection alone.
"""

import contextlib
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
from anyio.abc import ByteStream

from anongw.errors import Reason, Refused
from anongw.resolve import https
from anongw.resolve.link import AT_ONCE_MOST, IDLE_MOST, Asked, Link
from anongw.resolve.server import Server
from anongw.wire import dns

# Bytes that a server may send unacknowledged: the protocol's own default, far above any answer.
_WINDOW = 65535


@dataclass(slots=True)
class _Exchange:
    asked: Asked
    unsent: bytes  # the query, until its window has room for it
    status: bytes = b""
    media_type: bytes = b""
    body: bytearray = field(default_factory=bytearray)


class Http2(Link):
    def __init__(self, stream: ByteStream, server: Server, idle: float = IDLE_MOST) -> None:
        super().__init__(stream, AT_ONCE_MOST, idle)
        self._server = server
        self._exchanges: dict[int, _Exchange] = {}
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding=None)
        )
        # Before the first byte: a later change would hold only once the server has acknowledged it.
        self._h2.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW,
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: AT_ONCE_MOST,
            },
        )
        self._h2.initiate_connection()

    def _put(self, question: dns.Question) -> tuple[int, Asked]:
        query = dns.query(question, https.MESSAGE_ID, padded=True)
        try:
            key = self._h2.get_next_available_stream_id()
            self._h2.send_headers(key, https.headers(self._server, len(query)))
        except h2.exceptions.ProtocolError as error:
            # It ran out of streams, or ended a moment ago.
            self.close()
            raise Refused(Reason.UPSTREAM_CLOSED, type(error).__name__) from None
        exchange = self._exchanges[key] = _Exchange(Asked(https.MESSAGE_ID), query)
        self._push(key)
        return key, exchange.asked

    def _outgoing(self) -> bytes:
        return self._h2.data_to_send()

    def _forget(self, key: int) -> None:
        self._exchanges.pop(key, None)
        # Where it is over already, or the connection is, there is nothing to reset.
        with contextlib.suppress(h2.exceptions.ProtocolError):
            self._h2.reset_stream(key, h2.errors.ErrorCodes.CANCEL)

    def _push(self, key: int) -> None:
        """Send the query if its window has room for all of it."""
        exchange = self._exchanges[key]
        if exchange.unsent and self._h2.local_flow_control_window(key) >= len(exchange.unsent):
            self._h2.send_data(key, exchange.unsent, end_stream=True)
            exchange.unsent = b""

    def _take(self, data: bytes) -> None:
        try:
            for event in self._h2.receive_data(data):
                self._event(event)
        except h2.exceptions.ProtocolError as error:
            # A GOAWAY and an answer in one read end here too: h2 takes no answer after the GOAWAY.
            raise Refused(Reason.UPSTREAM_CLOSED, type(error).__name__) from None

    def _event(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ConnectionTerminated():
                raise Refused(Reason.UPSTREAM_CLOSED, "GOAWAY")
            case h2.events.RemoteSettingsChanged() | h2.events.WindowUpdated():
                self._room.total_tokens = min(AT_ONCE_MOST, self._h2.remote_settings.max_concurrent_streams)
                for key in list(self._exchanges):
                    self._push(key)
            case h2.events.ResponseReceived(stream_id=key, headers=headers) if key in self._exchanges:
                fields = dict(headers)
                self._exchanges[key].status = fields.get(b":status", b"")
                self._exchanges[key].media_type = fields.get(b"content-type", b"")
            case h2.events.DataReceived(stream_id=key):
                self._data(key, event)
            case h2.events.StreamEnded(stream_id=key):
                self._finish(key)
            case h2.events.StreamReset(stream_id=key) if key in self._exchanges:
                self._exchanges.pop(key).asked.fail(Reason.UPSTREAM_CLOSED, "stream reset")

    def _data(self, key: int, event: h2.events.DataReceived) -> None:
        self._h2.acknowledge_received_data(event.flow_controlled_length, key)
        if exchange := self._exchanges.get(key):
            exchange.body += event.data
            if len(exchange.body) > dns.ANSWER_MOST:
                exchange.asked.fail(Reason.TOO_LARGE, f"an answer of more than {dns.ANSWER_MOST} octets")
                self._forget(key)

    def _finish(self, key: int) -> None:
        exchange = self._exchanges.pop(key, None)
        if exchange is None:
            return
        if refused := https.judge(exchange.status, exchange.media_type):
            exchange.asked.fail(refused.reason, refused.detail)
        else:
            exchange.asked.answered(bytes(exchange.body))
