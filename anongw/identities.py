"""Identities as objects: who uses the gateway, since when, which ways, and under which key theirs is kept.

An identity begins at its first use. Everything that could link two of its flows (tokens toward hops, exits,
cached names, kept connections) is kept under its `key`, and a new epoch is a new key. So nothing has to be
moved or emptied for flows that begin afterwards to share nothing with those before, and a flow that runs
keeps what it has.

Rules that hold here:
- A key is the identity's own name and the nonces of its epochs, which are random: no client can call itself
  what makes another's key, and no epoch ever comes back.
- An epoch outlives the counts of its identity: who was dropped for want of room, or has not been here yet,
  begins in the epoch that was begun for it.
- Nothing here is said to anybody but through privacy.py.
"""

import hashlib
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from anongw import config
from anongw.errors import Reason, Refused
from anongw.flow import Flow
from anongw.ledger import Purse
from anongw.privacy import Kind, Privacy
from anongw.route import identify

ALL = "all"
# Seconds for which a budget's bytes count.
DAY = 86400.0
# Epochs that are remembered. Beyond, one is begun for everybody instead, which is more than was asked for.
EPOCHS_MOST = 10_000
# Keys of earlier epochs, so that `forget` wipes what old flows have left under them since. What lies under
# one that is older has run out by itself.
_KEYS_MOST = 64
_TURN_BYTES = 16
_NOBODY: Mapping[str, config.NamedIdentity] = {}


class Bearer(Protocol):
    """A connection that carries a flow of an identity now."""

    @property
    def moved(self) -> int:
        """Bytes that its flow has carried so far, both ways."""

    def end(self, refused: Refused) -> None:
        """End it, wherever it is."""


@dataclass(slots=True, eq=False)
class Account:
    """What a user with a budget has spent today."""

    settings: config.NamedIdentity
    purse: Purse
    spent: int = 0  # bytes of flows that are over, in this process
    running: int = 0  # and of those that are not, at the last sweep
    live: set[Bearer] = field(default_factory=set)

    def sweep(self, now: float) -> None:
        self.running = sum(bearer.moved for bearer in self.live)
        if self.purse.is_new_day(now, DAY):
            # What runs is counted from here on, as far as one can tell.
            self.spent = -self.running
        self.purse.spend(self.spent + self.running)

    @property
    def is_spent(self) -> bool:
        most = self.settings.bytes_a_day
        return most > 0 and self.purse.spent >= most

    def enter(self, bearer: Bearer) -> None:
        """One more flow begins.

        Raises:
            Refused: BUDGET_SPENT.
        """
        self.live.add(bearer)
        # Counted first and looked at then, so that several workers together never let in too many.
        self.purse.hold(len(self.live))
        most = self.settings.connections
        if (most and self.purse.held > most) or self.is_spent:
            self.leave(bearer, 0)
            raise Refused(Reason.BUDGET_SPENT)

    def leave(self, bearer: Bearer, moved: int) -> None:
        """A flow is over, which moved so many bytes."""
        self.live.discard(bearer)
        self.spent += moved
        self.purse.hold(len(self.live))
        self.purse.spend(self.spent + self.running)


@dataclass(slots=True, eq=False)
class Identity:
    """One of them, in its present epoch. Times are seconds of the engine's clock, sizes are in bytes."""

    name: str  # as `route.identify` has it; said to nobody
    user: str | None
    key: str
    since: float  # its first use in this epoch
    epoch: int = 1  # how many it has had
    flows: int = 0  # in this epoch, as all that follows
    sent: int = 0
    received: int = 0
    ways: set[str] = field(default_factory=set)  # the routes that were taken
    turn: int = 0  # of those by its `renew`
    account: Account | None = None
    live: set[Bearer] = field(default_factory=set)  # of earlier epochs too
    keys: deque[str] = field(default_factory=lambda: deque(maxlen=_KEYS_MOST))  # of earlier epochs

    def leave(self, flow: Flow, bearer: Bearer) -> None:
        """A flow of its is over."""
        self.live.discard(bearer)
        if self.account is not None:
            self.account.leave(bearer, flow.sent + flow.received)
        # A flow of an earlier epoch is no part of this one's story.
        if flow.identity == self.key:
            self.flows += 1
            self.sent += flow.sent
            self.received += flow.received
            if flow.route:
                self.ways.add(flow.route)

    def begin(self, key: str, now: float) -> None:
        self.keys.append(self.key)
        self.key, self.since = key, now
        self.epoch += 1
        self.flows = self.sent = self.received = 0
        self.ways = set()


@dataclass(frozen=True, slots=True)
class Selector:
    """Who is meant: one identity by its name, all of a user, or (neither) everybody."""

    name: str | None = None
    user: str | None = None

    def means(self, name: str, user: str | None) -> bool:
        if self.name is not None:
            return name == self.name
        return self.user is None or user == self.user


EVERYBODY = Selector()


class Epochs:
    """The epochs that were begun, with their nonces: all that processes need to agree on."""

    def __init__(self) -> None:
        self._nonces: dict[Selector, str] = {}

    def begin(self, selector: Selector, nonce: str) -> Selector:
        """Begin one for those who are meant; who they are now, which may be more."""
        if len(self._nonces) >= EPOCHS_MOST:
            selector = EVERYBODY
        if selector == EVERYBODY:
            self._nonces.clear()  # whatever came before makes no difference
        self._nonces[selector] = nonce
        return selector

    def of(self, name: str, user: str | None) -> list[str]:
        """The nonces of an identity's epochs."""
        about = [EVERYBODY, Selector(name=name)]
        if user is not None:
            about.append(Selector(user=user))
        return [self._nonces[one] for one in about if one in self._nonces]


class Identities:
    """All of them, through reloads.

    Args:
        now: the engine's clock, in seconds.
        key: of this process, the same in all that are to know an identity by the same keys.
        most: so many are counted; the one that was away longest is dropped for another.
        epochs: those that others have begun already, if any.
        purse: of a user whose first day ends at a moment; one that others share, perhaps.

    """

    def __init__(
        self,
        now: Callable[[], float],
        key: bytes,
        most: int,
        epochs: Epochs | None = None,
        purse: Callable[[str, float], Purse] = lambda _user, until: Purse(until),
    ) -> None:
        self.most = most
        self.named = _NOBODY  # the config's, by user
        self._now = now
        self._secret = key
        self._purse = purse
        self._known: OrderedDict[str, Identity] = OrderedDict()
        self._epochs = epochs or Epochs()
        self._accounts: dict[str, Account] = {}

    def __iter__(self) -> Iterator[Identity]:
        return iter(tuple(self._known.values()))

    def enter(self, flow: Flow, bearer: Bearer, rules: config.Identity) -> Identity:
        """A flow begins: settle in whose name.

        Raises:
            Refused: BUDGET_SPENT.
        """
        name = identify(flow, rules)
        identity = self._known.get(name)
        if identity is None:
            identity = self._first(name, flow.user)
        else:
            self._known.move_to_end(name)
        own = self.named.get(flow.user) if self.named and flow.user is not None else None
        if own is not None:
            self._as_configured(identity, own)
        flow.identity = identity.key
        if identity.account is not None:
            identity.account.enter(bearer)
        identity.live.add(bearer)
        return identity

    def configure(self, named: Mapping[str, config.NamedIdentity], most: int) -> None:
        """Go by a config from now on."""
        self.named, self.most = named, most
        for user, account in self._accounts.items():
            account.settings = named.get(user, config.NamedIdentity())

    def select(self, said: str, privacy: Privacy) -> Selector | None:
        """Whom a person means by "all", a user's name, an identity's, or a pseudonym; None: nobody known."""
        if said == ALL:
            return EVERYBODY
        for identity in self._known.values():
            if privacy.means(Kind.IDENTITY, said, identity.name):
                return Selector(name=identity.name)
        users = {identity.user for identity in self._known.values()} | set(self.named)
        return Selector(user=said) if said in users else None

    def begin(self, selector: Selector, nonce: str) -> list[Identity]:
        """Begin a new epoch for those who are meant, and are or will be here; those who are."""
        found = self.meant(self._epochs.begin(selector, nonce))
        for one in found:
            one.begin(self._key(one.name, one.user, one.turn), self._now())
        return found

    def meant(self, selector: Selector) -> list[Identity]:
        """Those who are meant and known now."""
        return [one for one in self._known.values() if selector.means(one.name, one.user)]

    def drop(self, identity: Identity) -> None:
        """Know it no more. Its epoch stays."""
        self._known.pop(identity.name, None)

    def sweep(self, _now: float) -> None:
        """End the flows of users who have spent their bytes, however long they run."""
        for account in self._accounts.values():
            account.sweep(self._now())
            if account.is_spent:
                for bearer in list(account.live):
                    bearer.end(Refused(Reason.BUDGET_SPENT))

    def _first(self, name: str, user: str | None) -> Identity:
        if len(self._known) >= self.most:
            away = next((one for one in self._known.values() if not one.live), None)
            if away is not None:
                self.drop(away)
        identity = Identity(name, user, self._key(name, user, 0), self._now())
        self._known[name] = identity
        return identity

    def _as_configured(self, identity: Identity, own: config.NamedIdentity) -> None:
        """By its `[identities]` table: a budget, and epochs that end by themselves."""
        now = self._now()
        user = identity.user or ""
        if (own.connections or own.bytes_a_day) and identity.account is None:
            account = self._accounts.get(user)
            if account is None:
                account = self._accounts[user] = Account(own, self._purse(user, now + DAY))
            identity.account = account
        if own.renew:
            turn = int((now + self._phase(identity.name, own.renew)) // own.renew)
            if turn != identity.turn:
                first = not identity.turn
                identity.turn = turn
                key = self._key(identity.name, identity.user, turn)
                if first:
                    identity.key = key
                else:
                    identity.begin(key, now)

    def _phase(self, name: str, renew: float) -> float:
        """Each at its own time: two that moved at once would be seen to belong together."""
        digest = hashlib.blake2b(b"phase " + name.encode(), key=self._secret, digest_size=8).digest()
        return int.from_bytes(digest) / 2**64 * renew

    def _key(self, name: str, user: str | None, turn: int) -> str:
        nonces = self._epochs.of(name, user)
        if turn:
            data = f"turn {turn} {name}".encode()
            nonces.append(hashlib.blake2b(data, key=self._secret, digest_size=_TURN_BYTES).hexdigest())
        return " epoch ".join((name, *nonces))
