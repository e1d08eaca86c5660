"""From `[[hop]]` tables to positions: one, many, common keys, and everything that cannot be meant."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anongw import check
from anongw.config import Config, ConfigError, Hop, HopUrl, Secret, load

PIN = "sha256/" + "A" * 43 + "="
Read = Callable[[str], Hop]
Faults = Callable[[str], list[tuple[str, str]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """The one position of a chain's file with this text."""

    def reads(text: str) -> Hop:
        (tmp_path / "one.toml").write_text(text)
        (hop,) = load(None, chain=tmp_path / "one.toml").chains["one"].hop
        return hop

    return reads


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    def found(text: str) -> list[tuple[str, str]]:
        (tmp_path / "one.toml").write_text(text)
        with pytest.raises(ConfigError) as caught:
            load(None, chain=tmp_path / "one.toml")
        assert {fault.file for fault in caught.value.faults} == {str(tmp_path / "one.toml")}
        return [(fault.path, fault.message) for fault in caught.value.faults]

    return found


@pytest.fixture
def password(tmp_path: Path) -> str:
    """The name of a file with a password, relative to the chain's."""
    (tmp_path / "secret").write_text("from file\n")
    (tmp_path / "secret").chmod(0o600)
    return "secret"


@pytest.fixture
def variable() -> Iterator[str]:
    name = "ANONGW_TEST_HOP_PASSWORD"
    os.environ[name] = "from environment"
    yield name
    del os.environ[name]


def logins(hop: Hop) -> list[tuple[str | None, str | None]]:
    return [(one.user, one.password.reveal() if one.password else None) for one in hop.members]


def test_the_least(read: Read) -> None:
    hop = read('[[hop]]\nurl = "socks5://127.0.0.1:9050"')
    (member,) = hop.members
    assert (member.url, member.user, member.password) == (HopUrl("socks5://127.0.0.1:9050"), None, None)
    assert (member.ca_file, member.pin, member.server_name, member.isolation) == ("", "", "", "off")
    assert (hop.strategy, hop.pick, hop.sticky, hop.sticky_count) == ("fail-over", 1, 600.0, 0)


def test_a_pool(read: Read) -> None:
    hop = read(
        '[[hop]]\nurls = ["socks5://a", "https://b:443", "direct"]\nstrategy = "least-used"\n'
        'sticky = "1h"\nsticky_count = 7'
    )
    assert [str(one.url) for one in hop.members] == ["socks5://a:1080", "https://b:443", "direct"]
    assert (hop.strategy, hop.pick, hop.sticky, hop.sticky_count) == ("least-used", 1, 3600.0, 7)


def test_members_with_keys_of_their_own(read: Read, password: str, variable: str) -> None:
    hop = read(
        f"""
        [[hop]]
        user = "common"
        password_env = "{variable}"
        server_name = "common.example"
        isolation = "off"
        [[hop.member]]
        url = "socks5://a"
        [[hop.member]]
        url = "socks5://b"
        user = "own"
        [[hop.member]]
        url = "https://c:1"
        password_file = "{password}"
        server_name = "own.example"
        [[hop.member]]
        url = "https://x:y@d:1"
        pin = "{PIN}"
        [[hop.member]]
        url = "socks4://e"
        [[hop.member]]
        url = "socks5://z@f"
        """
    )
    assert logins(hop) == [
        ("common", "from environment"),
        ("own", "from environment"),
        ("common", "from file"),
        ("x", "y"),
        ("common", None),  # SOCKS4 has no passwords
        ("z", "from environment"),
    ]
    assert [one.server_name for one in hop.members] == ["", "", "own.example", "common.example", "", ""]
    assert [one.pin for one in hop.members] == ["", "", "", PIN, "", ""]


def test_where_a_login_may_stand(read: Read, password: str, variable: str) -> None:
    for keys, login in (
        ('url = "socks5://a:b@h"', ("a", "b")),
        (f'url = "socks5://a@h"\npassword_env = "{variable}"', ("a", "from environment")),
        (
            f'url = "socks5://h"\nuser = "u-{{token}}"\npassword_file = "{password}"',
            ("u-{token}", "from file"),
        ),
        ('url = "http://a:@h:1"', ("a", "")),
        ('url = "socks4a://a@h"', ("a", None)),
    ):
        assert logins(read(f"[[hop]]\n{keys}")) == [login]


def test_files_are_relative_to_the_chains_own(read: Read, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    hop = read('[[hop]]\nurl = "https://h:1"\nca_file = "ca.pem"')
    assert hop.members[0].ca_file == str(tmp_path / "ca.pem")


ONE_OF = "write one of url, urls (a pool) and [[hop.member]] tables (one with keys)"


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        ("", "hop[0]", ONE_OF),
        ("urls = []", "hop[0]", ONE_OF),
        ('url = "socks5://a"\nurls = ["socks5://b"]', "hop[0]", ONE_OF),
        ('url = "socks5://a"\n[[hop.member]]\nurl = "socks5://b"', "hop[0]", ONE_OF),
        ('[[hop.member]]\nuser = "a"', "hop[0].member[0].url", "is missing"),
        ('url = "socks5://"', "hop[0].url", "neither a name nor an address"),
        ("url = 5", "hop[0].url", "must be text in quotes"),
        ('url = ["socks5://a"]', "hop[0].url", "must be text in quotes"),
        ('urls = "socks5://a"', "hop[0].urls", "must be a list"),
        ('urls = ["socks5://a", "b"]', "hop[0].urls[1]", 'write "socks5://HOST:PORT"'),
        ('urls = ["socks5://a", 5]', "hop[0].urls[1]", "must be text in quotes"),
        ("member = [5]", "hop[0].member[0]", "must be a table"),
        ('member = "a"', "hop[0].member", "must be a list"),
        (
            '[[hop.member]]\nurl = "socks5://a"\nstrategy = "random"',
            "hop[0].member[0].strategy",
            "no such key",
        ),
        ('ulr = "socks5://a"', "hop[0].ulr", 'did you mean "url"?'),
        ('url = "socks5://a"\nstrategy = "randm"', "hop[0].strategy", 'did you mean "random"?'),
        ('url = "socks5://a"\npick = 0', "hop[0].pick", "must be a whole number from 1 up"),
        ('url = "socks5://a"\nsticky = 5', "hop[0].sticky", "a duration has a unit"),
        ('url = "socks5://a"\nuser = "u"', "hop[0].url", "is missing: it takes a user and a password"),
        ('url = "socks5://u@a"', "hop[0].url", "is missing: it takes a user and a password"),
        ('url = "socks5://:p@a"', "hop[0].url", "SOCKS5 takes users of 1 to 255 bytes"),
        ('url = "socks5://u:@a"', "hop[0].url", "SOCKS5 takes passwords of 1 to 255 bytes"),
        ('url = "socks4://u:p@a"', "hop[0].url", "SOCKS4 has no passwords"),
        ('url = "socks4://a"\npassword_file = "x"', "hop[0].password_file", "means nothing to socks4"),
        ('url = "socks4://a"\nuser = "a\\u0000b"', "hop[0].user", "holds a control character"),
        ('url = "http://a%3Ab:c@h:1"', "hop[0].url", "HTTP takes no colon"),
        ('url = "socks5://u:p@a"\nuser = "v"', "hop[0].user", "stands in the url as well"),
        ('url = "socks5://u:p@a"\npassword_env = "X"', "hop[0].password_env", "is a second password"),
        (
            'url = "socks5://u@a"\npassword_env = "X"\npassword_file = "x"',
            "hop[0].password_env",
            "is a second password",
        ),
        ('url = "socks5://u@a"\npassword_env = "ANONGW_NO"', "hop[0].password_env", "no variable ANONGW_NO"),
        ('url = "socks5://u@a"\npassword_file = "none"', "hop[0].password_file", "No such file"),
        ('url = "socks5://a"\nca_file = "x"', "hop[0].ca_file", "means nothing to socks5: it is for https"),
        ('urls = ["socks5://a"]\npin = "x"', "hop[0].pin", "means nothing to any member: it is for https"),
        ('url = "https://a:1"\nca_file = "none"', "hop[0].ca_file", "is no file that can be read"),
        ('url = "https://a:1"\nca_file = "."', "hop[0].ca_file", "is no file that can be read"),
        ('url = "https://a:1"\npin = "sha256/x"', "hop[0].pin", "44 signs of base64"),
        ('url = "https://a:1"\nserver_name = "192.0.2.1"', "hop[0].server_name", "is no host name"),
        ('url = "https://a:1"\nserver_name = "A.example."', "hop[0].server_name", "is no host name"),
        ('url = "https://a:1"\nserver_name = "a b"', "hop[0].server_name", "is no host name"),
        ('url = "socks5://u:p@a"\nisolation = "tor"', "hop[0].isolation", "its login is the token"),
        ('url = "socks5://a"\nisolation = "on"', "hop[0].isolation", "must be one of off, auth, tor"),
        ('url = "direct"\nisolation = "auth"', "hop[0].isolation", "means nothing to direct"),
        ('url = "direct"\nuser = "a"', "hop[0].user", "means nothing to direct"),
    ],
)
def test_faults(faults: Faults, text: str, path: str, says: str) -> None:
    ((where, what),) = faults(f"[[hop]]\n{text}")
    assert where == path
    assert says in what


def test_a_pin_takes_the_place_of_authorities(faults: Faults, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    text = f'[[hop]]\nurl = "https://a:1"\nca_file = "ca.pem"\npin = "{PIN}"'
    assert faults(text) == [("hop[0].ca_file", "is not asked where there is a pin: keep one of them")]


def test_a_fault_of_a_common_key_is_blamed_on_it_and_one_of_a_members_key_on_that(faults: Faults) -> None:
    text = """
        [[hop]]
        user = "common"
        password_env = "ANONGW_NO"
        [[hop.member]]
        url = "socks5://a"
        [[hop.member]]
        url = "socks5://b"
        password_env = "ANONGW_NONE"
        [[hop.member]]
        url = "socks5://c:@c"
    """
    assert [where for where, _ in faults(text)] == [
        "hop[0].password_env",
        "hop[0].member[1].password_env",
        "hop[0].member[2].url",
    ]


SECRET = "hunter2"
LOGINS = st.sampled_from(
    [
        *("", f"{SECRET}@", f":{SECRET}@", f"u:{SECRET}@", f"{SECRET}:p@", f"{SECRET}:{SECRET}@"),
        *(f"u:{SECRET}/x@", f"u:{SECRET}@y@", f"u:{SECRET}%zz@", f"u:{SECRET} @", f"u:{SECRET}%0A@"),
        *(f"u:{SECRET * 40}@", f"{SECRET}:{SECRET}:@", f"u:%68{SECRET}@", f"u:{SECRET}", f"[{SECRET}"),
    ]
)
URLS = st.builds(
    lambda scheme, login, place, end: f"{scheme}{login}{place}{end}",
    st.sampled_from(["socks5://", "socks4://", "http://", "https://", "ftp://", "", "socks5:"]),
    LOGINS,
    st.sampled_from(
        ["192.0.2.1:1", "[::1]:2", "h.example:3", "h.example", f":{SECRET}", f"a b:{SECRET}", ""]
    ),
    st.sampled_from(["", "/", f"/{SECRET}", f"?{SECRET}", f"#{SECRET}"]),
)
GOOD_URLS = st.sampled_from(
    [
        f"socks5://u:{SECRET}@192.0.2.1",
        f"socks5://{SECRET}:{SECRET}@a.example:1/",
        f"socks4://{SECRET}@192.0.2.1",
        f"https://{SECRET}:{SECRET}:@[2001:db8::1]:1",
        "http://192.0.2.1:8080",
    ]
)
KEYS = st.lists(
    st.sampled_from(
        [
            f'user = "{SECRET}"',
            f'password_env = "{SECRET}"',
            'password_file = "none"',
            f'pin = "{SECRET}"',
            f'server_name = "{SECRET} x"',
            f'isolation = "{SECRET}"',
            'isolation = "auth"',
            f'password = "{SECRET}"',
            f'sticky = "{SECRET}"',
            f'strategy = "{SECRET}"',
            f'pick = "{SECRET}"',
        ]
    ),
    max_size=2,
    unique_by=lambda line: line.partition("=")[0],
)
FORMS = st.sampled_from(
    [
        'url = "{}"',
        'urls = ["{}", "socks5://192.0.2.9"]',
        'member = [{{ url = "{}" }}]',
        'urls = "{}"',
        'url = ["{}"',
    ]
)


def test_no_fault_and_no_word_shows_a_login(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    reached = {"wrong": 0, "right": 0, "right with a login": 0}

    @given(FORMS, st.one_of(URLS, GOOD_URLS), st.one_of(st.just([]), KEYS))
    def shown(form: str, url: str, keys: list[str]) -> None:
        path.write_text("\n".join(["[[hop]]", form.format(url), *keys]))
        try:
            config = load(None, chain=path, also=check.faults)
        except ConfigError as error:
            outcome, said = "wrong", [str(error), repr(error), repr(error.faults)]
        else:
            login = any(one.user is not None for one in config.chains["one"].hop[0].members)
            outcome, said = ("right with a login" if login else "right"), everything_said(config)
        reached[outcome] += 1
        assert SECRET not in "\n".join(said)

    shown()
    assert all(reached.values()), reached


def everything_said(config: Config) -> list[str]:
    return [repr(config), str(config), *check.explain(config), *check.warnings(config), *check.hidden(config)]


def test_the_planted_secret_is_there_at_all(read: Read) -> None:
    hop = read(f'[[hop]]\nurl = "socks5://u:{SECRET}@h"')
    assert hop.members[0].password == Secret(SECRET)
