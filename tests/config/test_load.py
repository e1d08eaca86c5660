"""A config from files and from settings; every fault at once, with its place and its cure."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anongw.config import Cidr, Config, ConfigError, Found, Route, Rule, exposed, load

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str) -> Path:
        path = tmp_path / "anongw.toml"
        path.write_text(text)
        return path

    return written


def faults(path: Path | None, *sets: str) -> list[tuple[str, int | None, str]]:
    with pytest.raises(ConfigError) as caught:
        load(path, sets)
    return [(fault.path, fault.line, fault.message) for fault in caught.value.faults]


def test_nothing_is_the_defaults(write: Write) -> None:
    assert load(None) == load(write("")) == Config()


def test_values_come_out_as_the_code_wants_them(write: Write) -> None:
    config = load(
        write(
            """
            [listen]
            addresses = ["127.0.0.1:0", "unix:/run/a.sock"]
            clients = ["10.0.0.0/8"]
            [resolve.zones]
            "lab.internal" = "udp://192.168.1.1"
            [policy]
            deny = ["*:25"]
            [limits]
            idle = "4h"
            header_bytes = "16KiB"
            [[scrub.rules]]
            host = "example.org"
            set = { Accept = "text/html" }
            [[scrub.rules]]
            drop = ["X-A"]
            """
        )
    )
    assert config.listen.addresses == ("127.0.0.1:0", "unix:/run/a.sock")
    assert config.listen.clients == (Cidr("10.0.0.0/8"),)
    assert config.resolve.zones == {"lab.internal": "udp://192.168.1.1"}
    assert config.policy.deny == (Rule("*:25"),)
    assert (config.limits.idle, config.limits.header_bytes) == (14400.0, 16384)
    assert [rule.host for rule in config.scrub.rules] == ["example.org", "*"]
    assert config.limits.connect == Config().limits.connect


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("limits.idle=4h", 14400.0),
        ("limits.idle = '4h'", 14400.0),
        ("limits.header_lines=7", 7),
        ("log.names=true", True),
        ("log.level=debug", "debug"),
        ("resolve.ca_file=/etc/a b=c.pem", "/etc/a b=c.pem"),
        ('listen.addresses=["[::1]:1"]', ("[::1]:1",)),
        ('resolve.hosts."a.test"=["192.0.2.1"]', {"a.test": ("192.0.2.1",)}),
    ],
)
def test_settings(setting: str, value: object) -> None:
    section, _, key = setting.partition("=")[0].strip().partition(".")
    key = key.partition(".")[0]
    assert getattr(getattr(load(None, [setting]), section), key) == value


def test_a_setting_wins_over_the_file_and_a_later_one_over_an_earlier(write: Write) -> None:
    path = write('[limits]\nidle = "3h"\nconnect = "1s"')
    limits = load(path, ["limits.idle=4h", "limits.idle=5h"]).limits
    assert (limits.idle, limits.connect) == (18000.0, 1.0)


@pytest.mark.parametrize("setting", ["", "limits", "limits.idle", "=4h", "a b=1", "a.b=1\nc=2"])
def test_a_setting_that_is_none_is_not_quoted_beyond_its_key(setting: str) -> None:
    ((path, line, message),) = faults(None, setting)
    assert (path, line) == ("", None)
    assert "write --set section.key=value" in message
    assert "4h" not in message


def test_every_fault_is_told_at_once_with_its_line(write: Write) -> None:
    path = write(
        '[limits]\nidel = "5m"\nidle = 5\nconnections = -1\n\n'
        '[listen]\n# where\naddresses = [\n  "127.0.0.1:1",\n  5,\n]\n'
        '[scrub]\nprofile = "strickt"\n[[scrub.rules]]\nhst = "a"\n[users]\nbob = "secret"\n[polcy]\n'
    )
    assert faults(path, "log.levl=debug") == [
        ("limits.idel", 2, 'there is no such key; did you mean "idle"?'),
        ("limits.idle", 3, 'a duration has a unit: write "10s", "5m" or "2h"'),
        ("limits.connections", 4, "must be a whole number from 0 up"),
        ("listen.addresses[1]", 8, "must be text in quotes"),
        ("scrub.profile", 13, 'must be one of balanced, strict, open; did you mean "strict"?'),
        ("scrub.rules[0].hst", 15, 'there is no such key; did you mean "host"?'),
        ("users.bob", 17, "not a password hash: make one with `anongw passwd`"),
        ("polcy", 18, 'there is no such key; did you mean "policy"?'),
        ("log.levl", None, 'there is no such key; did you mean "level"?'),
    ]


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("limits = 5", "limits", "must be a table"),
        ("[[limits]]", "limits", "must be a table"),
        ("[log]\nnames = 1", "log.names", "must be true or false"),
        ('[log]\nnames = "yes"', "log.names", "must be true or false"),
        ("[limits]\nheader_lines = 0", "limits.header_lines", "must be a whole number from 1 up"),
        ("[limits]\nheader_lines = 1.5", "limits.header_lines", "must be a whole number"),
        ('[listen]\naddresses = "127.0.0.1:1"', "listen.addresses", 'must be a list, such as ["..."]'),
        ("[listen]\nclients = [1]", "listen.clients[0]", "must be text in quotes"),
        ('[listen]\nclients = ["10.0.0.1/8"]', "listen.clients[0]", "does not begin at its network"),
        ("[resolve.zones]\na = 1", "resolve.zones.a", "must be text in quotes"),
        ('[resolve.zones]\na = "udp://[::1]"\nb = 1', "resolve.zones.b", "must be text in quotes"),
        ("[scrub]\nrules = 5", "scrub.rules", 'must be a list, such as ["..."]'),
        ("[scrub]\nrules = [5]", "scrub.rules[0]", "must be a table"),
        ('[users]\n"a b" = 5', 'users."a b"', "must be text in quotes"),
        ("colour = 1", "colour", "there is no such key; known here: listen, "),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_a_config(
    write: Write, text: str, path: str, message: str
) -> None:
    ((where, line, what),) = faults(write(text))
    assert where == path
    assert line == len(text.splitlines())
    assert message in what


def test_a_fault_on_one_line_has_file_line_key_and_cure(write: Write) -> None:
    path = write("[limits]\nidle = 5")
    with pytest.raises(ConfigError) as caught:
        load(path)
    error = caught.value
    assert str(error) == f'{path}:2: limits.idle: a duration has a unit: write "10s", "5m" or "2h"'
    assert (error.path, error.line, error.file) == ("limits.idle", 2, str(path))
    assert error.message in str(error)


def test_a_fault_of_a_setting_is_not_blamed_on_the_file(write: Write) -> None:
    path = write('[limits]\nidle = "5m"')
    with pytest.raises(ConfigError, match=r"^command line: limits\.idle: "):
        load(path, ["limits.idle=5"])


def test_what_is_no_toml_has_its_line(write: Write) -> None:
    ((where, line, message),) = faults(write("[limits]\nidle = 4h\n"))
    assert (where, line) == ("", 2)
    assert message.startswith("not TOML: ")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert faults(tmp_path / "none.toml") == [("", None, "cannot be read: No such file or directory")]
    assert faults(tmp_path) == [("", None, "cannot be read: Is a directory")]
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9")
    assert faults(tmp_path / "latin.toml") == [("", None, "is not UTF-8, which TOML has to be")]
    (tmp_path / "long.toml").write_bytes(b"#" * (1 << 20) + b"#")
    assert faults(tmp_path / "long.toml") == [("", None, "is longer than 1048576 bytes: no config is")]


def test_other_rooms_may_find_faults_which_get_their_line(write: Write) -> None:
    def also(config: Config) -> Iterator[Found]:
        assert config.resolve.servers == ("nonsense",)
        yield ("resolve", "servers", 0), "is no resolver"

    path = write('\n[resolve]\nservers = ["nonsense"]')
    with pytest.raises(ConfigError, match=r":3: resolve\.servers\[0\]: is no resolver$"):
        load(path, also=also)


def test_no_fault_quotes_a_secret(write: Write) -> None:
    secret = "hunter2hunter2"
    for text in (
        f'[users]\nbob = "{secret}"',
        f'[users]\nbob = ["{secret}"]',
        f'users = "{secret}"',
        f'users."{secret}',
    ):
        with pytest.raises(ConfigError) as caught:
            load(write(text))
        assert secret not in str(caught.value)
        with pytest.raises(ConfigError) as caught:
            load(None, [f"users.bob={secret}"])
        assert secret not in str(caught.value)


HOP = '[[hop]]\nurl = "socks5://127.0.0.1:9050"\n'


def test_one_chain_needs_no_route(write: Write, tmp_path: Path) -> None:
    (tmp_path / "tor.toml").write_text(HOP)
    config = load(write('[chains]\ntor = "tor.toml"'))
    assert list(config.chains) == ["tor"]
    assert config.route == (Route(to="tor"),)


def test_several_chains_need_routes(write: Write, tmp_path: Path) -> None:
    (tmp_path / "tor.toml").write_text(HOP)
    text = '[chains]\none = "tor.toml"\ntwo = "tor.toml"\n'
    ((path, line, message),) = faults(write(text))
    assert (path, line) == ("chains", 1)
    assert message == "say what goes through which of one, two: add [[route]] tables"
    assert load(write(f'{text}[[route]]\nto = "two"')).route == (Route(to="two"),)


def test_an_identity_with_a_way_of_its_own_goes_before_all_routes(write: Write) -> None:
    path = write(
        """
        identities.work.to = "refuse"
        identities.home.renew = "1h"
        [[route]]
        to = "direct"
        """
    )
    found = load(path)
    assert found.route == (Route(identity=("work",), to="refuse"), Route(to="direct"))
    assert not found.goes_direct_unasked
    assert found.identities["home"].renew == 3600
    unasked = load(write('identities.work.to = "refuse"'))
    assert unasked.goes_direct_unasked, "what all others do, nobody has written"


def test_a_chain_of_the_command_line_is_everybodys_way(write: Write, tmp_path: Path) -> None:
    chain = tmp_path / "mine.toml"
    chain.write_text(HOP)
    path = write('[chains]\nold = "none.toml"\n[[route]]\nto = "direct"\n[limits]\nidle = "3h"')
    config = load(path, chain=chain)
    assert list(config.chains) == ["mine"]
    assert config.route == (Route(to="mine"),)
    assert config.limits.idle == 10800.0
    assert load(None, ['route=[{to="refuse"}]'], chain=chain).route == (Route(to="refuse"),)
    assert load(None, ["chains.mine.tries=7"], chain=chain).chains["mine"].tries == 7


def test_faults_of_all_files_are_told_at_once(write: Write, tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text('# one\ntires = 3\n[[hop]]\nurl = "socks5://a"\nstrategy = "x"\n')
    (tmp_path / "two.toml").write_text("[[hop]\n")
    path = write('[chains]\none = "one.toml"\ntwo = "two.toml"\nthree = "none.toml"\n[polcy]\n')
    with pytest.raises(ConfigError) as caught:
        load(path, ["log.levl=debug"])
    found = [(Path(fault.file).name, fault.line, fault.path) for fault in caught.value.faults]
    assert found == [
        ("two.toml", 1, ""),
        ("anongw.toml", 4, "chains.three"),
        ("one.toml", 2, "tires"),
        ("one.toml", 5, "hop[0].strategy"),
        ("anongw.toml", 5, "polcy"),
        ("command line", None, "log.levl"),
    ]


def test_faults_that_only_show_together_have_their_line_too(write: Write, tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text('[[hop]]\nurl = "socks5://192.0.2.1"\n\n[[hop]]\nurl = "direct"\n')
    with pytest.raises(ConfigError) as caught:
        load(write('[chains]\none = "one.toml"\n'))
    assert str(caught.value).startswith(f"{tmp_path / 'one.toml'}:4: hop[1]: direct cannot stand")

    def also(config: Config) -> Iterator[Found]:
        yield ("chains", "one", "hop", 1, "url"), f"is {config.chains['one'].hop[1].members[0].url}"

    (tmp_path / "one.toml").write_text('[[hop]]\nurl = "socks5://192.0.2.1"\n\n[[hop]]\nurl = "http://h:1"\n')
    with pytest.raises(ConfigError) as caught:
        load(write('[chains]\none = "one.toml"\n'), also=also)
    assert str(caught.value) == f"{tmp_path / 'one.toml'}:5: hop[1].url: is http://h:1"


@pytest.mark.parametrize(
    "setting",
    [
        'chains.a.hop=[{url="socks5://u:hunter2@h"}]',
        'chains.a={hop=[{urls=["socks5://h", "socks5://u:hunter2@h"]}]}',
        'chains.a.hop=[{member=[{url="socks5://u:hunter2@h"}]}]',
        'chains={a={hop=[{url="socks5://u:hunter2@h"}]}}',
    ],
)
def test_a_password_on_the_command_line_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, [setting])
    (fault,) = caught.value.faults
    assert (fault.path, fault.file) == ("chains.a.hop", "command line")
    assert "(ps): use password_env, password_file or a file" in fault.message
    assert "hunter2" not in str(caught.value)


def test_a_chain_without_a_password_may_be_typed() -> None:
    config = load(None, ['chains.a.hop=[{url="socks5://h", isolation="tor"}]'])
    assert config.route == (Route(to="a"),)


def test_files_in_which_others_can_read_a_password(write: Write, tmp_path: Path) -> None:
    secret, plain = tmp_path / "secret.toml", tmp_path / "plain.toml"
    secret.write_text('[[hop]]\nurl = "socks5://u:hunter2@h"')
    plain.write_text('[[hop]]\nurl = "socks5://h"')
    path = write(
        '[chains]\na = "secret.toml"\nb = "plain.toml"\n[[chains.c.hop]]\nurl = "socks5://u:p@h"\n'
        '[[route]]\nto = "a"'
    )
    config = load(path)
    for mode, found in ((0o644, [path, secret]), (0o640, [path, secret]), (0o600, [path])):
        plain.chmod(0o644)
        path.chmod(0o644)
        secret.chmod(mode)
        assert exposed(config, path, (), None) == found
    assert exposed(load(None, chain=secret), None, (), secret) == []
    secret.chmod(0o604)
    assert exposed(load(None, chain=secret), None, (), secret) == [secret]
    assert exposed(Config(), None, (), None) == []


def test_reading_a_config_imports_neither_loop_nor_network() -> None:
    code = (
        "import sys, anongw.config; anongw.config.load(None);"
        "print({'asyncio', 'anyio', 'ssl', 'loguru', 'click'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"
