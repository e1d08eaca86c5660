"""The HTTP/2 side of the fake DNS server."""

from collections.abc import Awaitable, Callable

import anyio
import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
from anyio.abc import ByteStream, TaskGroup

from tests.support.dns_script import Fault, Seen

_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


class H2Server:
    """One connection; questions are answered as they come. `reset` hears of those that the client gave up."""

    def __init__(  # noqa: PLR0913 - one fact each
        self,
        stream: ByteStream,
        answer: Callable[[Seen], Awaitable[list[bytes]]],
        reset: Callable[[int], None],
        number: int,
        *,
        streams_most: int,
        shut_window: bool,
    ) -> None:
        self._shut_window = shut_window  # after an answer, queries get no window of their own
        self._stream = stream
        self._answer = answer
        self._reset = reset
        self._number = number
        self._lock = anyio.Lock()
        self._seen: dict[int, Seen] = {}
        self._unsent: dict[int, bytes] = {}
        self._last = b""
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None)
        )
        self._h2.local_settings = h2.settings.Settings(
            client=False, initial_values={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: streams_most}
        )
        self._h2.initiate_connection()

    async def run(self) -> None:
        await self._flush()
        async with anyio.create_task_group() as tasks:
            try:
                while True:
                    data = await self._stream.receive()
                    for event in self._h2.receive_data(data):
                        self._event(event, tasks)
                    await self._flush()
            except (*_GONE, h2.exceptions.ProtocolError):  # h2 reads nothing after our own GOAWAY
                tasks.cancel_scope.cancel()

    def _event(self, event: h2.events.Event, tasks: TaskGroup) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=key, headers=headers):
                pairs = [(bytes(name), bytes(value)) for name, value in headers]
                self._seen[key] = Seen("h2", self._number, b"", pairs)
                # A server that shut the window opens it now, a bit.
                if self._h2.local_settings.initial_window_size == 0:
                    self._h2.increment_flow_control_window(1024, key)
            case h2.events.DataReceived(stream_id=key):
                self._seen[key].wire += event.data
                self._h2.acknowledge_received_data(event.flow_controlled_length, key)
            case h2.events.StreamEnded(stream_id=key):
                tasks.start_soon(self._reply, key, tasks)
            case h2.events.StreamReset(stream_id=key):
                self._unsent.pop(key, None)
                self._reset(key)
            case h2.events.WindowUpdated():
                for key in list(self._unsent):
                    self._push(key)

    async def _reply(self, key: int, tasks: TaskGroup) -> None:
        seen = self._seen[key]
        for body in await self._answer(seen):
            try:
                if seen.fault is Fault.RESET:
                    self._h2.reset_stream(key)
                else:
                    self._respond(key, bytes(100_000) if seen.fault is Fault.HUGE else body, seen.fault)
            except h2.exceptions.ProtocolError:
                return  # the client gave it up meanwhile
            if self._shut_window:
                self._h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
            await self._flush()
            if seen.fault in (Fault.CLOSE, Fault.GOAWAY):
                tasks.cancel_scope.cancel()

    def _respond(self, key: int, body: bytes, fault: Fault | None) -> None:
        if fault is Fault.EARLY_HINTS:
            self._h2.send_headers(key, [(b":status", b"103"), (b"link", b"</x>; rel=preload")])
        status = b"500" if fault is Fault.STATUS else b"200"
        media_type = b"text/html" if fault is Fault.MEDIA_TYPE else b"application/dns-message"
        self._h2.send_headers(key, [(b":status", status), (b"content-type", media_type)])
        if fault is Fault.CLOSE:
            return
        self._unsent[key] = body
        self._push(key)
        if fault is Fault.GOAWAY:
            # In front of the answer, in one write: the client's h2 takes no answer after it.
            answer = self._h2.data_to_send()
            self._h2.close_connection()
            self._last = self._h2.data_to_send() + answer

    def _push(self, key: int) -> None:
        body = self._unsent[key]
        while body and (
            room := min(self._h2.local_flow_control_window(key), self._h2.max_outbound_frame_size)
        ):
            self._h2.send_data(key, body[:room], end_stream=len(body) <= room)
            body = body[room:]
        self._unsent[key] = body
        if not body:
            del self._unsent[key]

    async def _flush(self) -> None:
        async with self._lock:
            data, self._last = self._last + self._h2.data_to_send(), b""
            if data:
                await self._stream.send(data)
