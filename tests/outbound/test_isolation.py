"""What hops are told: tokens that tell identities apart, that nobody can link, and that name no one."""

import base64
import re
from collections import Counter
from dataclasses import dataclass

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from anongw.config import TOKEN, TOKEN_LENGTH, HopUrl, Member, Secret
from anongw.outbound.isolation import Isolation, Login

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
SCHEMES = ("socks5", "socks4", "http", "https")
SHAPE = re.compile(f"[0-9a-f]{{{TOKEN_LENGTH}}}")
ME = "user alice"

isolation = Isolation(KEY)


def member(scheme: str = "socks5", kind: str = "off", user: str = "", password: str = "") -> Member:
    return Member(
        url=HopUrl(f"{scheme}://192.0.2.1:1080"),
        user=user or None,
        password=Secret(password) if password else None,
        isolation=kind,  # type: ignore[arg-type]
    )


def told(login: Login | None) -> tuple[str, str]:
    assert login is not None
    return login.user, login.password.reveal()


def test_a_token_is_the_same_for_the_same_and_another_for_others() -> None:
    token = isolation.token(ME, "hop")
    assert SHAPE.fullmatch(token)
    assert Isolation(KEY).token(ME, "hop") == token
    others = [
        isolation.token("user bob", "hop"),
        isolation.token(ME, "hop 2"),
        isolation.token("", ""),
        Isolation(OTHER_KEY).token(ME, "hop"),
    ]
    assert len({token, *others}) == 5


def test_where_identity_and_hop_part_matters() -> None:
    pairs = [("b c", "a"), ("c", "a b"), ("c", "a\0b"), ("b\0c", "a"), ("c", "ab"), ("bc", "a")]
    assert len({isolation.token(*pair) for pair in pairs}) == len(pairs)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_without_isolation_a_hop_is_told_what_is_its_own_or_nothing(scheme: str) -> None:
    assert isolation.login(member(scheme), ME) is None
    assert told(isolation.login(member(scheme, user="u", password="p"), ME)) == ("u", "p")
    assert isolation.header(member(scheme), ME) is None


def test_a_user_without_a_password() -> None:
    assert told(isolation.login(member("socks4", user="u"), ME)) == ("u", "")


def test_direct_is_told_nothing() -> None:
    direct = Member(url=HopUrl("direct"))
    assert isolation.login(direct, ME) is None
    assert isolation.header(direct, ME) is None


def test_a_token_goes_where_the_file_says() -> None:
    user, password = told(isolation.login(member(user=f"a-{TOKEN}-{TOKEN}", password=f"p{TOKEN}"), ME))
    first, second = re.fullmatch(r"a-(\w+)-(\w+)", user).groups()  # type: ignore[union-attr]
    assert SHAPE.fullmatch(first)
    assert (second, password) == (first, f"p{first}")
    assert told(isolation.login(member(user=f"a-{TOKEN}-{TOKEN}", password="p"), "user bob"))[0] != user


@pytest.mark.parametrize("scheme", SCHEMES)
def test_auth_is_a_random_user_and_another_random_password(scheme: str) -> None:
    user, password = told(isolation.login(member(scheme, "auth"), ME))
    assert SHAPE.fullmatch(user)
    assert SHAPE.fullmatch(password)
    assert user != password
    assert isolation.header(member(scheme, "auth"), ME) is None


def test_tor_over_socks5() -> None:
    """As torspec has it, to the byte: anything after the format type is refused by Tor."""
    user, password = told(isolation.login(member("socks5", "tor"), ME))
    assert user.encode() == bytes.fromhex("3c 74 6f 72 53 30 58 3e 30")
    assert SHAPE.fullmatch(password)
    assert isolation.header(member("socks5", "tor"), ME) is None


def test_tor_over_socks4() -> None:
    user, password = told(isolation.login(member("socks4", "tor"), ME))
    assert SHAPE.fullmatch(user)
    assert not password


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_tor_over_http(scheme: str) -> None:
    user, password = told(isolation.login(member(scheme, "tor"), ME))
    assert user == "tor-iso"
    assert isolation.header(member(scheme, "tor"), ME) == (b"Tor-Stream-Isolation", password.encode())
    assert SHAPE.fullmatch(password)


def test_a_login_is_not_shown() -> None:
    login = isolation.login(member(user="u-name", password="secret"), ME)
    assert str(login) == repr(login) == f"{login}" == "Login(***)"


# Whoever asks, of whichever hop: the same to the same, nothing in common to others, and no name to anybody.

identities = st.builds(
    "{} {}{}".format,
    st.sampled_from(["user", "client", "listener"]),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.sampled_from(["", " to a.example"]),
)
hops = st.builds(
    Member,
    url=st.builds(
        "{}://{}:{}".format,
        st.sampled_from(SCHEMES),
        st.sampled_from(["192.0.2.1", "a.example", "[2001:db8::1]"]),
        st.sampled_from([1080, 9050]),
    ).map(HopUrl),
    user=st.sampled_from([None, "acc1", "acc2", f"one-{TOKEN}", f"two-{TOKEN}"]),
    password=st.sampled_from([None, Secret("p"), Secret(f"p-{TOKEN}")]),
    isolation=st.sampled_from(["off", "auth", "tor"]),
)


@dataclass(frozen=True)
class Asked:
    """One log-in at a hop."""

    key: bytes
    hop: Member
    identity: str

    @property
    def isolated(self) -> bool:
        password = self.hop.password.reveal() if self.hop.password else ""
        return self.hop.isolation != "off" or TOKEN in f"{self.hop.user} {password}"

    @property
    def whose(self) -> tuple[object, ...]:
        return self.key, str(self.hop.url), self.hop.user, self.identity

    def words(self) -> set[str]:
        """All that the hop is told, in pieces and as it is on the wire."""
        ours = Isolation(self.key)
        login, header = ours.login(self.hop, self.identity), ours.header(self.hop, self.identity)
        said = {header[0].decode(), header[1].decode()} if header else set()
        if login is not None:
            pair = ":".join(told(login))
            said |= {*told(login), pair, base64.b64encode(pair.encode()).decode()}
        return said


def tokens(said: set[str]) -> set[str]:
    return {token for word in said for token in SHAPE.findall(word)}


asked = st.builds(Asked, key=st.sampled_from([KEY, OTHER_KEY]), hop=hops, identity=identities)


def test_what_hops_are_told() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=1000, deadline=None, database=None)
    @given(asked, asked)
    def holds(one: Asked, other: Asked) -> None:
        said, also = one.words(), other.words()
        assert said == one.words(), "one identity is one at a hop"
        assert not any(one.identity in word or TOKEN in word for word in said)
        assert bool(tokens(said)) == one.isolated
        seen["token" if one.isolated else "login" if said else "nothing"] += 1
        if one.whose != other.whose:
            assert not tokens(said) & tokens(also), "what one is told says nothing of another"
            seen["two tokens"] += bool(tokens(said) and tokens(also))

    holds()
    assert all(seen[kind] for kind in ("token", "login", "nothing", "two tokens")), seen


@given(st.lists(identities, unique=True, min_size=2, max_size=20), hops, hops)
def test_identities_share_no_token_and_hops_neither(names: list[str], hop: Member, hop_2: Member) -> None:
    labels = {str(hop.url), str(hop_2.url)}
    made = {isolation.token(name, label) for name in names for label in labels}
    assert len(made) == len(names) * len(labels)
