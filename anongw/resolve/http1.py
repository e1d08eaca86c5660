"""DNS over HTTPS on HTTP/1.1, for a server that has no HTTP/2: one question after the other.

POST may not be pipelined (RFC 9112 §9.3.2), so there is room for one; a question that is given up ends the
connection, because its answer would be taken for the next one's.
"""

import httptools
from anyio.abc import ByteStream

from anongw.errors import Reason, Refused
from anongw.resolve import https
from anongw.resolve.link import IDLE_MOST, Asked, Link
from anongw.resolve.server import Server
from anongw.wire import dns

# Bytes of one response in all: the longest answer, and room for a head. httptools has no limit of its own.
_RESPONSE_MOST = dns.ANSWER_MOST + 16 * 1024


class Http1(Link):
    def __init__(self, stream: ByteStream, server: Server, idle: float = IDLE_MOST) -> None:
        super().__init__(stream, 1, idle)
        self._server = server
        self._leaving = b""
        self._key = 0
        self._asking: Asked | None = None
        self._response = _Response()

    def _put(self, question: dns.Question) -> tuple[int, Asked]:
        query = dns.query(question, https.MESSAGE_ID, padded=True)
        self._leaving = https.request(self._server, len(query)) + query
        self._response = _Response()
        self._asking = Asked(https.MESSAGE_ID)
        self._key += 1
        return self._key, self._asking

    def _outgoing(self) -> bytes:
        data, self._leaving = self._leaving, b""
        return data

    def _forget(self, key: int) -> None:  # noqa: ARG002 - there is only one
        self.close()

    def _take(self, data: bytes) -> None:
        if self._asking is None:
            raise Refused(Reason.UPSTREAM_CLOSED, "spoke without being asked")
        self._response.feed(data)
        if self._response.complete:
            asking, self._asking = self._asking, None
            if refused := https.judge(self._response.status, self._response.media_type):
                asking.fail(refused.reason, refused.detail)
            else:
                asking.answered(bytes(self._response.body))
            if not self._response.kept:
                raise Refused(Reason.UPSTREAM_CLOSED, "Connection: close")


class _Response:
    """One response as httptools reads it; the on_ methods are its callbacks."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._fed = 0
        self.complete = False
        self.kept = False
        self.status = b""
        self.media_type = b""
        self.body = bytearray()

    def feed(self, data: bytes) -> None:
        self._fed += len(data)
        if self._fed > _RESPONSE_MOST:
            raise Refused(Reason.TOO_LARGE, f"a response of more than {_RESPONSE_MOST} octets")
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise Refused(Reason.UPSTREAM_MALFORMED, type(error).__name__) from None

    def on_message_begin(self) -> None:
        if self.complete:
            raise ValueError("a second response to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self.media_type = value

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self.status = b"%d" % status
        # 100 and 103 come as messages of their own, before the answer.
        self.complete = status >= 200  # noqa: PLR2004 - RFC 9110 §15.2
        self.kept = self._parser.should_keep_alive()
