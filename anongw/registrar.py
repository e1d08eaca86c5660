"""What is asked about identities over the control socket: who is here, begin anew, forget.

Each command first finds who is meant (`select`) and is then carried out by clean functions of a Selector and
a nonce, so that several processes can be told the same thing and come to the same keys.

Rules: nobody is named but through privacy.py. An answer says what was done, and what no gateway can undo.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from anongw.control import Command, Declined, Forgotten, IdentityStatus, Renewed
from anongw.errors import Reason, Refused
from anongw.generation import Generation
from anongw.identities import ALL, EVERYBODY, Identities, Identity, Selector
from anongw.net.engine import Engine
from anongw.privacy import Kind, Privacy, setting
from anongw.wire.control import Fields

_NONCE_BYTES = 16
_REMAINS = (
    "hops, resolvers and destinations keep what they have seen; from now on they see somebody else",
    "the kernel keeps closed connections for a minute (TIME_WAIT), and freed memory until it is used again",
    "the clients' own cookies, caches and log-ins are theirs to forget",
)
_LOGGED = {
    True: "lines of the log that name it: log.names is on",
    False: "lines of a log at level debug bear its pseudonym; the key to it is gone within two hours",
}


NOBODY = f"nobody of that name is known: see `anongw identity list`, or say {ALL}"


@dataclass(frozen=True, slots=True)
class Meant:
    """Whom a person means, and which identities these are now."""

    selector: Selector
    names: frozenset[str]


def said(asked: Fields) -> str:
    """The name in a command.

    Raises:
        Declined: there is none.
    """
    name = asked.get("name")
    if not isinstance(name, str):
        raise Declined("say who: a name, or all")
    return name


def nonce() -> str:
    """For an epoch: nobody can guess it."""
    return secrets.token_hex(_NONCE_BYTES)


def _told(asked: Fields) -> tuple[Selector, str]:
    selector = asked["selector"]
    assert isinstance(selector, Selector)  # noqa: S101 - that is what a parent says
    return selector, str(asked["nonce"])


class Registrar:
    """Answers for one gateway. `generations`: those that flows still go by, the present one among them."""

    def __init__(
        self,
        identities: Identities,
        privacy: Privacy,
        generations: Callable[[], Sequence[Generation]],
        engine: Engine,
    ) -> None:
        self._identities = identities
        self._privacy = privacy
        self._generations = generations
        self._engine = engine

    # The commands

    async def tell(self, _asked: Fields) -> Fields:
        return {"identities": self.listed()}

    async def tell_new(self, asked: Fields) -> Fields:
        return {"renewed": self.renew(self._selected(asked), nonce())}

    async def tell_forget(self, asked: Fields) -> Fields:
        return {"forgotten": self.forget(self._selected(asked), nonce())}

    @property
    def between_workers(self) -> dict[str, Command]:
        """What a parent tells its workers; not for the control socket, where names would show."""
        return {
            "meant": lambda asked: {"meant": self.meant(str(asked["name"]))},
            "renew": lambda asked: {"renewed": self.renew(*_told(asked))},
            "wipe": lambda asked: {"forgotten": self.forget(*_told(asked))},
        }

    # What they do

    def listed(self) -> tuple[IdentityStatus, ...]:
        return tuple(self._status(one) for one in self._identities)

    def renew(self, selector: Selector, nonce: str) -> Renewed:
        """Begin a new epoch for those who are meant, whether or not they are here."""
        found = self._identities.begin(selector, nonce)
        for one in found:
            for generation in self._generations():
                generation.renew(one.keys[-1], one.key)
        return Renewed(identities=len(found), running=sum(len(one.live) for one in found))

    def forget(self, selector: Selector, nonce: str) -> Forgotten:
        """End their flows, wipe what is kept for them, and begin anew with whoever comes by that name."""
        found = self._identities.begin(selector, nonce)
        closed = kept = answers = 0
        for one in found:
            for bearer in tuple(one.live):
                bearer.end(Refused(Reason.FORGOTTEN))
                closed += 1
            for generation in self._generations():
                for key in one.keys:
                    connections, names = generation.forget(key)
                    kept, answers = kept + connections, answers + names
            self._identities.drop(one)
        self._engine.settle()
        self._forget_logins(selector, found)
        if selector == EVERYBODY:
            self._privacy.forget(nonce)
        remains = (*_REMAINS, _LOGGED[self._privacy.names])
        return Forgotten(identities=len(found), closed=closed, kept=kept, answers=answers, remains=remains)

    def meant(self, said: str) -> Meant | None:
        """Whom a person means; None: nobody who is known here."""
        selector = self._identities.select(said, self._privacy)
        if selector is None:
            return None
        return Meant(selector, frozenset(one.name for one in self._identities.meant(selector)))

    def _selected(self, asked: Fields) -> Selector:
        selector = self._identities.select(said(asked), self._privacy)
        if selector is None:
            raise Declined(NOBODY)
        return selector

    def _forget_logins(self, selector: Selector, found: Sequence[Identity]) -> None:
        names = {one.user for one in found} | {selector.user}
        for generation in self._generations():
            users = generation.rooms.users
            if users is None:
                continue
            if selector == EVERYBODY:
                users.forget()
            for name in names:
                if name is not None:
                    users.forget(name.encode())

    def _status(self, one: Identity) -> IdentityStatus:
        return IdentityStatus(
            name=self._privacy.say(Kind.IDENTITY, one.name),
            epoch=one.epoch,
            age=round(self._engine.now - one.since, 1),
            live=len(one.live),
            flows=one.flows,
            sent=one.sent,
            received=one.received,
            ways=tuple(setting(way) for way in sorted(one.ways)),
        )
