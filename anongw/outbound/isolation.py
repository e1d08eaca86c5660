"""What a hop is told of an identity, so that it keeps identities apart: a token, and never who it is.

A token is a keyed hash of the identity and the hop, with a key that is drawn at the start and kept nowhere.
An identity has one token at a hop for as long as its epoch lasts (its name here is its key, see
identities.py) and the process lives, and another at every other hop: two hops that compare notes, or one that
remembers the last run (bitcoin#32176) or the last epoch, learn nothing from it.
"""

import hmac
from dataclasses import dataclass

from anongw.config import TOKEN, TOKEN_LENGTH, Member, Secret

# torspec, socks-extensions: a magic and format type 0. "The remainder of the Username field must be empty.
# The Password field is stream isolation parameter." Tor before 0.4.9.1 compares the pair, to the same end.
_TOR_USER = "<torS0X>0"
# torspec, http-connect: streams with different Proxy-Authorization or Tor-Stream-Isolation share no circuit;
# "use `basic` authentication, and set the username to `tor-iso`". The second header should be preferred, but
# Tor knows it since 0.4.9.4 only. Both are sent, so that no Tor mixes what is kept apart here.
_TOR_HTTP_USER = "tor-iso"
_TOR_HEADER = b"Tor-Stream-Isolation"


@dataclass(frozen=True, slots=True)
class Login:
    """A name and a password for a hop. SOCKS4 has no passwords, and uses the name alone."""

    user: str
    password: Secret

    def __repr__(self) -> str:
        return "Login(***)"


class Isolation:
    """Makes tokens with `key`, which is 32 random bytes of this process."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def token(self, identity: str, hop: str) -> str:
        """The token of an identity at a hop: TOKEN_LENGTH hexadecimal digits, for any protocol to carry."""
        return self._tokens(identity, hop)[0]

    def login(self, member: Member, identity: str) -> Login | None:
        """What to log in with at a member; None: with nothing.

        A config has isolation or a login of its own, with `{token}` in it or without; never both.
        """
        if member.isolation == "off" and member.user is None and member.password is None:
            return None
        token, other = self._tokens(identity, _label(member))
        if member.isolation == "off":
            return _filled(member.user, member.password, token)
        if member.isolation == "auth":
            return Login(token, Secret(other))
        match member.url.scheme:
            case "socks5":
                return Login(_TOR_USER, Secret(token))
            case "socks4":
                # torspec, socks-extensions: streams are kept apart by "the same user 'ID' string".
                return Login(token, Secret(""))
            case _:
                return Login(_TOR_HTTP_USER, Secret(token))

    def header(self, member: Member, identity: str) -> tuple[bytes, bytes] | None:
        """The line that Tor isolates by, for a request to a member that is Tor's HTTP port."""
        if member.isolation != "tor" or member.url.scheme not in ("http", "https"):
            return None
        return _TOR_HEADER, self.token(identity, _label(member)).encode("ascii")

    def _tokens(self, identity: str, hop: str) -> tuple[str, str]:
        """Two halves of one hash: neither can be told from the other."""
        name = hop.encode()
        # The length first, so that no other pair makes the same bytes.
        message = len(name).to_bytes(4) + name + identity.encode()
        digest = hmac.digest(self._key, message, "sha256").hex()
        return digest[:TOKEN_LENGTH], digest[TOKEN_LENGTH:]


def _label(member: Member) -> str:
    """What is one hop here. Two accounts at one proxy are two: it need not learn that both are one user's."""
    return f"{member.url} {member.user or ''}"


def _filled(user: str | None, password: Secret | None, token: str) -> Login:
    text = password.reveal() if password is not None else ""
    return Login((user or "").replace(TOKEN, token), Secret(text.replace(TOKEN, token)))
