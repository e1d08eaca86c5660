"""Many clients at once, in threads: each is one after the other a client of every kind.

Stalled ones stay for a while, so that the others come and go around them.
"""

import random
import socket
import threading
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from scripts.soaking.clients import LIVES, PATIENCE, SOURCES, Client, Place, Unexpected, stalls

# Clients at once, and stalled ones of each.
_AT_ONCE = 12
_STALLED_EACH = 6
# linux/in.h: the port is chosen by connect, once both ends are known.
_IP_BIND_ADDRESS_NO_PORT = 24
# Faults that are kept word for word.
_TOLD_MOST = 20


class Crowd:
    def __init__(self, place: Place, seed: int) -> None:
        self._place = place
        self._seed = seed
        self._lock = threading.Lock()
        self._numbers = iter(range(1 << 62))
        self.done: Counter[str] = Counter()
        # Sentences; `wrong` counts those that are not kept as well.
        self.faults: list[str] = []
        self.wrong = 0

    def come(self, connections: int) -> None:
        """So many, and all are gone again when it returns."""
        shares = [connections // _AT_ONCE + (at < connections % _AT_ONCE) for at in range(_AT_ONCE)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for done in [pool.submit(self._live, share) for share in shares]:
                done.result()

    def _live(self, lives: int) -> None:
        stalled: deque[socket.socket] = deque()
        try:
            for number in self._next(lives):
                chance = random.Random(self._seed + number)  # noqa: S311 - the same soak each time
                name, life = chance.choice(LIVES)
                sock = None
                try:
                    sock = self._arrives(chance)
                    life(Client(sock, self._place, number, chance))
                except (Unexpected, OSError, ValueError) as error:
                    self._fault(f"{name} (client {number}): {type(error).__name__}: {error}")
                if sock is not None and life is stalls:
                    stalled.append(sock)
                    sock = stalled.popleft() if len(stalled) > _STALLED_EACH else None
                if sock is not None:
                    sock.close()
                with self._lock:
                    self.done[name] += 1
        finally:
            for sock in stalled:
                sock.close()

    def _next(self, lives: int) -> Iterator[int]:
        for _ in range(lives):
            with self._lock:
                number = next(self._numbers)
            yield number

    def _arrives(self, chance: random.Random) -> socket.socket:
        sock = socket.socket()
        try:
            sock.settimeout(PATIENCE)
            with suppress(OSError):
                sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((chance.choice(SOURCES), 0))
            sock.connect(("127.0.0.1", self._place.gateway))
        except BaseException:
            sock.close()
            raise
        return sock

    def _fault(self, sentence: str) -> None:
        with self._lock:
            self.wrong += 1
            if len(self.faults) < _TOLD_MOST:
                self.faults.append(sentence)
