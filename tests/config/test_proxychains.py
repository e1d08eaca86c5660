"""proxychains configurations as chains: every proxy in its place or no chain at all, and no password said."""

import itertools
import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anongw.config import Chain, ConfigError, Member, Rule, load
from anongw.config.proxychains import PROXIES_MOST, convert

LIST = "[ProxyList]\n"
TOR = f"{LIST}socks4 127.0.0.1 9050\n"
TWO = f"{LIST}socks5 192.0.2.1 1080\nhttp 192.0.2.2 8080\n"
THREE = f"{TWO}socks4 192.0.2.3 1080\n"


def loaded(written: str) -> Chain:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "imported.toml"
        path.write_text(written)
        return load(None, chain=path).chains["imported"]


def chain(text: str) -> dict[str, Any]:
    written, _ = convert(text)
    assert loaded(written).names == "exit"
    return tomllib.loads(written)


def remarks(text: str) -> str:
    return "\n".join(convert(text, "p.conf")[1])


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        convert(text, "p.conf")
    return [str(fault) for fault in caught.value.faults]


# What Debian's package installs as /etc/proxychains4.conf, without its comments.
DEBIAN = """\
# proxychains.conf  VER 4.x

#dynamic_chain
strict_chain
#chain_len = 2
proxy_dns\x20
remote_dns_subnet 224
tcp_read_time_out 15000
tcp_connect_time_out 8000
# localnet 127.0.0.0/255.0.0.0

[ProxyList]
# defaults set to "tor"
socks4 \t127.0.0.1 9050
"""


def test_the_configuration_that_debian_installs() -> None:
    written, said = convert(DEBIAN)
    assert said == []
    assert tomllib.loads(written) == {
        "names": "exit",
        "hop_timeout": "15s",
        "timeout": "23s",
        "hop": [{"url": "socks4://127.0.0.1:9050"}],
    }


def test_a_chain_in_order_keeps_its_order() -> None:
    text = f"strict_chain\nproxy_dns\n{THREE}"
    assert [hop["url"] for hop in chain(text)["hop"]] == [
        "socks5://192.0.2.1:1080",
        "http://192.0.2.2:8080",
        "socks4://192.0.2.3:1080",
    ]
    assert remarks(text) == ""


@pytest.mark.parametrize(
    ("line", "said"),
    [("dynamic_chain\n", "p.conf:1: dynamic_chain skips"), ("", "p.conf: no kind of chain is named")],
)
def test_a_chain_that_skips_the_dead_becomes_one_that_does_not(line: str, said: str) -> None:
    text = f"{line}proxy_dns\n{TWO}"
    assert len(chain(text)["hop"]) == 2
    assert said in remarks(text)
    assert remarks(f"{line}proxy_dns\n{TOR}") == "", "one proxy cannot be skipped"


@pytest.mark.parametrize(
    ("order", "strategy"), [("random_chain", "random"), ("round_robin_chain", "round-robin")]
)
def test_a_pool(order: str, strategy: str) -> None:
    (hop,) = chain(f"{order}\nchain_len = 2\n{THREE}")["hop"]
    assert hop == {
        "urls": ["socks5://192.0.2.1:1080", "http://192.0.2.2:8080", "socks4://192.0.2.3:1080"],
        "strategy": strategy,
        "pick": 2,
        "sticky": 0,
    }
    assert chain(f"{order}\n{THREE}")["hop"][0]["pick"] == 1


def test_round_robin_of_several_is_not_quite_the_same() -> None:
    assert "p.conf:1: round_robin_chain takes" in remarks(f"round_robin_chain\nchain_len=2\n{THREE}")
    assert "round_robin_chain" not in remarks(f"round_robin_chain\n{THREE}")


@pytest.mark.parametrize(
    ("written", "length"), [("chain_len = 3", 3), ("chain_len=1", 1), ("chain_len = 0", 1)]
)
def test_the_length_of_a_pool(written: str, length: int) -> None:
    assert chain(f"random_chain\n{written}\n{THREE}")["hop"][0]["pick"] == length


@pytest.mark.parametrize("written", ["chain_len 2", "chain_len = two", "chain_len = -1", "chain_len ="])
def test_a_length_that_is_none_names_its_line(written: str) -> None:
    assert faults(f"random_chain\n{written}\n{THREE}") == [
        "p.conf:2: not a length that proxychains takes: write chain_len = 2"
    ]


def test_a_length_beyond_the_list_names_its_line() -> None:
    (fault,) = faults(f"random_chain\nchain_len = 4\n{THREE}")
    assert fault == "p.conf:2: picks 4 of 3 members"


def test_the_last_kind_of_chain_counts() -> None:
    assert len(chain(f"random_chain\nstrict_chain\n{TWO}")["hop"]) == 2


@pytest.mark.parametrize(
    ("lines", "hop", "whole"),
    [
        ("tcp_read_time_out 15000\ntcp_connect_time_out 8000", "15s", "23s"),
        ("tcp_connect_time_out 20000", "20s", "24s"),  # proxychains reads for 4 s
        ("tcp_read_time_out\t250 ms", "10s", "10250ms"),  # and connects for 10 s
    ],
)
def test_times(lines: str, hop: str, whole: str) -> None:
    found = chain(f"{lines}\n{TOR}")
    assert (found["hop_timeout"], found["timeout"]) == (hop, whole)


def test_every_hop_has_its_time() -> None:
    assert chain(f"tcp_read_time_out 5000\ntcp_connect_time_out 1000\n{THREE}")["timeout"] == "16s"
    assert chain(f"random_chain\nchain_len=2\ntcp_read_time_out 5000\n{THREE}")["timeout"] == "20s"


@pytest.mark.parametrize("value", ["", "0", "-1", "soon", "1.5", "9" * 5000])
def test_a_time_that_is_none_is_left_out(value: str) -> None:
    text = f"tcp_read_time_out {value}\n{TOR}"
    assert "timeout" not in chain(text)
    assert "p.conf:1: tcp_read_time_out takes milliseconds" in remarks(text)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("proxy_dns", ""),
        ("proxy_dns_daemon 127.0.0.1:1053", ""),
        ("proxy_dns_old", "p.conf: proxy_dns_old asked a public name server through the chain"),
        ("#proxy_dns", "p.conf: without proxy_dns this machine looked up the names"),
        ("proxy_dns # yes", "p.conf: without proxy_dns this machine looked up the names"),
    ],
)
def test_names_always_travel(line: str, said: str) -> None:
    text = f"{line}\n{TOR}"
    assert chain(text)["names"] == "exit"
    assert said in remarks(text)
    assert said or not remarks(text)


LOCALNETS = [
    ("192.168.1.0:80/255.255.255.0", "192.168.1.0/24:80"),
    ("192.168.1.7/255.255.255.0", "192.168.1.0/24"),
    ("0.0.0.0:80/0.0.0.0", "0.0.0.0/0:80"),
    ("[::]:80/0", "[::/0]:80"),
    ("[fd00::]/8", "fd00::/8"),
    ("::1/128", "::1/128"),
    ("10.0.0.0:0/8", "10.0.0.0/8"),
]


@pytest.mark.parametrize(("localnet", "target"), LOCALNETS)
def test_a_bypass_is_a_comment_until_somebody_means_it(localnet: str, target: str) -> None:
    text = f"proxy_dns\nlocalnet {localnet}\n{TOR}"
    written = convert(text)[0]
    assert "route" not in tomllib.loads(written)
    assert "p.conf:2: localnet went past the proxies" in remarks(text)
    meant = tomllib.loads(re.sub("^#(?! )", "", written, flags=re.MULTILINE))
    assert meant["route"] == [{"target": [target], "to": "direct"}]
    Rule(target)


@pytest.mark.parametrize(
    "localnet",
    [
        "",
        "10.0.0.0",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/0.0.0.255",  # holes, not a range of 256
        "10.0.0.0/255.0.255.0",
        "10.0.0.0:99999/8",
        "10.0.0.0/8 more",
        "fe80::%eth0/10",
        "example.org/8",
        "[::1/128",
    ],
)
def test_a_bypass_that_cannot_be_written_is_left_out(localnet: str) -> None:
    text = f"proxy_dns\nlocalnet {localnet}\n{TOR}"
    assert "direct" not in convert(text)[0]
    assert remarks(text).startswith("p.conf:2: this localnet is no range")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("dnat 192.0.2.1:80 192.0.2.2", "p.conf:1: dnat is left out"),
        ("strict-chain", "p.conf:1: no setting of proxychains"),
        ("strict_chain # all of them", "p.conf:1: no setting of proxychains"),
        ("socks5 192.0.2.1 1080", "p.conf:1: no setting of proxychains"),
        ("[proxylist]", "p.conf:1: no setting of proxychains"),
        ("quiet_mode", ""),
        ("remote_dns_subnet 10", ""),
    ],
)
def test_other_settings(line: str, said: str) -> None:
    found = remarks(f"{line}\nproxy_dns\n{TOR}")
    assert found.startswith(said)
    assert bool(found) is bool(said)


@pytest.mark.parametrize(
    ("line", "url"),
    [
        ("socks5 192.0.2.1 1080 al p@ss:w/%rd", "socks5://al:p%40ss%3Aw%2F%25rd@192.0.2.1:1080"),
        ("socks5 192.0.2.1 1080 al #1", "socks5://al:%231@192.0.2.1:1080"),
        ("socks5 192.0.2.1 1080 a\xa0l \u2028", "socks5://a%C2%A0l:%E2%80%A8@192.0.2.1:1080"),
        ("socks4 ::1 1080 al", "socks4://al@[::1]:1080"),
        ("http 192.0.2.1 80 al", "http://al:@192.0.2.1:80"),
        ("http Proxy.Example. 3128", "http://proxy.example:3128"),
        ("\thttp\t127.1  03128\r", "http://127.0.0.1:3128"),
        ("socks5://al:p@ss word:1@192.0.2.1:1080", "socks5://al:p%40ss%20word%3A1@192.0.2.1:1080"),
        ("http://proxy.example:80 # mine", "http://proxy.example:80"),
    ],
)
def test_how_a_proxy_is_written(line: str, url: str) -> None:
    assert chain(f"{LIST}{line}\n")["hop"] == [{"url": url}]


@pytest.mark.parametrize(
    ("line", "url", "said"),
    [
        ("socks4 192.0.2.1 1 al hidden", "socks4://al@192.0.2.1:1", "SOCKS4 has no password"),
        ("http 192.0.2.1 1 # hidden", "http://192.0.2.1:1", "what follows # is taken for a comment"),
        ("http 192.0.2.1 1 al hidden here", "http://al:hidden@192.0.2.1:1", "what follows the password"),
        ("http 192.0.2.1 1 al hidden", "http://al:hidden@192.0.2.1:1", "the result holds passwords"),
    ],
)
def test_what_is_said_of_a_login(line: str, url: str, said: str) -> None:
    text = f"proxy_dns\n{LIST}{line}\n"
    assert chain(text)["hop"] == [{"url": url}]
    assert f"p.conf:3: {said}" in remarks(text)
    assert "hidden" not in remarks(text)


@pytest.mark.parametrize("order", ["strict_chain", "random_chain"])
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("socks5 192.0.2.1 0", "not a port"),
        ("socks5 192.0.2.1 65536", "not a port"),
        ("socks5 192.0.2.1 hidden", "not a port"),
        ("socks5 192.0.2.1", "not a port"),
        ("socks5", "not a host name"),
        ("socks5 al:hidden@192.0.2.1 1080", "not a"),
        ("socks5://al:hidden@192.0.2.1:http", "not a port"),
        ("socks5://al:hidden@:1", "not a host name"),
    ],
)
def test_a_bad_proxy_is_an_error_with_its_line(order: str, line: str, said: str) -> None:
    (fault,) = faults(f"{order}\n{TWO}{line}\n")
    assert fault.startswith(f"p.conf:5: {said}")
    assert "hidden" not in fault


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("socks5 192.0.2.1 1 al", "SOCKS5 takes passwords of 1 to 255 bytes"),
        ("socks5://:hidden@192.0.2.1:1", "SOCKS5 takes users of 1 to 255 bytes"),
        (f"socks5 192.0.2.1 1 al hidden{'n' * 250}", "SOCKS5 takes passwords of 1 to 255 bytes"),
        ("http 192.0.2.1 1 a:l hidden", "HTTP takes no colon in a user"),
        ("http 192.0.2.1 1 al hidden\0", "holds a control character"),
        ("socks4 192.0.2.1 1 ål", "SOCKS4 takes users of 1 to 255 ASCII signs"),
    ],
)
def test_a_login_that_the_protocol_cannot_carry_is_an_error_with_its_line(line: str, said: str) -> None:
    (fault,) = faults(f"random_chain\n{TWO}{line}\n")
    assert fault == f"p.conf:5: {said}"


@pytest.mark.parametrize("order", ["strict_chain", "random_chain\nchain_len = 2"])
def test_what_makes_no_chain_of_ours_is_an_error_with_its_line(order: str) -> None:
    """The loader's own rules, which no single proxy breaks."""
    first = faults(f"{order}\n{LIST}socks5 localhost 1080\nsocks5 192.0.2.1 1080\n")
    assert [re.match(r"p\.conf:(\d+): .*: write 127\.0\.0\.1 ", fault) is not None for fault in first] == [
        True
    ]
    (fault,) = faults(f"{order}\n{LIST}socks4 192.0.2.1 1080\nsocks5 ::2 1080\n")
    assert re.fullmatch(r"p\.conf:\d: SOCKS4 carries no IPv6 address, .*", fault)
    # Where one proxy is to blame, its line; in a pool anyone may stand before anyone.
    line = 3 if order == "strict_chain" else 1
    assert fault.startswith(f"p.conf:{line}: ")
    assert first[0].startswith(f"p.conf:{line}: ")


FOREIGN = [
    "raw 192.0.2.9 1080",
    "https 192.0.2.9 443",
    "https://al:hidden@192.0.2.9:443",
    "proxy_dns",
    "socks5://x",
]


@pytest.mark.parametrize("line", FOREIGN)
def test_what_is_no_proxy_of_ours_makes_no_chain_shorter(line: str) -> None:
    (fault,) = faults(f"strict_chain\n{TWO}{line}\n")
    assert re.match(r"p\.conf:5: .*; without it the chain is shorter", fault)
    assert "hidden" not in fault


@pytest.mark.parametrize("line", FOREIGN)
def test_what_is_no_proxy_of_ours_is_left_out_of_a_pool(line: str) -> None:
    text = f"random_chain\nproxy_dns\n{TWO}{line}\n"
    assert len(chain(text)["hop"][0]["urls"]) == 2
    assert re.fullmatch(r"p\.conf:6: .*: this line is left out of the pool", remarks(text))


@pytest.mark.parametrize("text", ["", "strict_chain\n", LIST, "random_chain\n[ProxyList]\nraw 192.0.2.1 1\n"])
def test_no_proxy_is_an_error(text: str) -> None:
    (fault,) = faults(text)
    assert fault.startswith("p.conf: lists no proxy that anongw can use")


def test_every_bad_line_is_named_at_once() -> None:
    found = faults(f"strict_chain\n{LIST}socks5 192.0.2.1 0\nraw 192.0.2.1 1\nsocks5 192.0.2.1 1\n-\n")
    assert [fault.split(": ")[0] for fault in found] == ["p.conf:3", "p.conf:4", "p.conf:6"]


def test_as_many_proxies_as_proxychains_reads() -> None:
    text = LIST + "socks5 192.0.2.1 1080\n" * PROXIES_MOST
    assert len(chain(text)["hop"]) == PROXIES_MOST
    assert faults(f"{text}socks5 192.0.2.1 1080\n") == [
        f"p.conf: proxychains reads {PROXIES_MOST} proxies and no more: shorten the list"
    ]


def test_remarks_come_in_the_order_of_the_lines() -> None:
    text = f"dnat a b\nlocalnet ::1/128\ndnat a b\n{LIST}http 192.0.2.1 1 al hidden\nsocks4 ::1 1 al x\n"
    assert re.findall(r"^p\.conf(?::(\d+))?:", remarks(text), re.MULTILINE) == [
        "1",
        "2",
        "3",
        "5",
        "6",
        "",
        "",
    ]


def test_what_is_true_of_many_lines_is_said_once_of_the_first() -> None:
    text = (
        f"proxy_dns\nstrict_chain\nlocalnet ::1/128\nlocalnet 10.0.0.0/8\n{LIST}"
        "http 192.0.2.1 1 al hidden\nhttp 192.0.2.2 1 al hidden\n"
    )
    assert re.findall(r"^p\.conf:(\d+): (\w+)", remarks(text), re.MULTILINE) == [
        ("3", "localnet"),
        ("6", "the"),
    ]
    assert '#target = ["::1/128", "10.0.0.0/8"]' in convert(text)[0]


def test_lines_fit_a_screen() -> None:
    written, _ = convert(f"random_chain\nchain_len=2\nlocalnet ::1/128\ntcp_read_time_out 1\n{TWO}")
    assert max(map(len, written.splitlines())) <= 110


@dataclass(frozen=True)
class Proxy:
    """A line of the list, as its parts and as it is written."""

    kind: str
    host: str
    port: int
    user: str
    password: str
    gap: str
    as_url: bool

    def __str__(self) -> str:
        if self.as_url:
            before = f"{self.user}:{self.password}@" if self.user else ""
            return f"{self.kind}://{before}{self.host}:{self.port}"
        after = (self.user, self.password) if self.user else ()
        return self.gap.join((self.kind, self.host, str(self.port), *after))

    @property
    def parts(self) -> tuple[str, str, int, str, str]:
        password = "" if self.kind == "socks4" else self.password
        return self.kind, self.host.lower(), self.port, self.user, password if self.user else ""


WORD = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=" "), min_size=1, max_size=8)
PROXY = st.builds(
    Proxy,
    kind=st.sampled_from(["socks5", "socks4", "http"]),
    host=st.sampled_from(["192.0.2.1", "198.51.100.7", "Proxy.Example", "a-b_c.test"]),
    port=st.sampled_from([1, 80, 443, 1080, 3128, 9050, 65535, 0]) | st.integers(1, 65535),
    user=st.just("") | WORD.filter(lambda word: not word.startswith("#") and ":" not in word),
    password=WORD.map(lambda word: f"SECRET{word}"),
    gap=st.sampled_from([" ", "\t", " \t "]),
    as_url=st.booleans(),
)
NOISE = st.sampled_from(["", "# comment", " \t#", "\r"])
SETTINGS = st.sampled_from(
    [
        "proxy_dns",
        "quiet_mode",
        "strict_chain",
        "dynamic_chain",
        "random_chain",
        "round_robin_chain",
        "chain_len = 1",
        "chain_len=3",
        "tcp_read_time_out 7000",
        "localnet 10.0.0.0/255.0.0.0",
        "dnat 192.0.2.1 192.0.2.2",
        "SECRET setting",
    ]
)


def tried(text: str) -> tuple[str, list[str]] | ConfigError:
    try:
        return convert(text, "p.conf")
    except ConfigError as error:
        return error


def read_back(url: str) -> tuple[str, str, int, str, str]:
    found = urlsplit(url)
    return (
        found.scheme,
        found.hostname or "",
        found.port or 0,
        unquote(found.username or ""),
        unquote(found.password or ""),
    )


def as_loaded(member: Member) -> tuple[str, str, int, str, str]:
    where = member.url.endpoint
    password = member.password.reveal() if member.password else ""
    return member.url.scheme, str(where.host), where.port, member.user or "", password


def test_any_configuration_is_its_very_proxies_or_an_error_with_a_line() -> None:
    outcomes: Counter[str] = Counter()

    @given(st.lists(SETTINGS | NOISE, max_size=6), st.lists(PROXY, min_size=1, max_size=4), NOISE)
    @settings(max_examples=400)
    def check(before: list[str], proxies: list[Proxy], noise: str) -> None:
        text = "\n".join((*before, "[ProxyList]", *itertools.chain(*((noise, str(one)) for one in proxies))))
        found = tried(text)
        if isinstance(found, ConfigError):
            assert all(fault.line for fault in found.faults)
            assert "SECRET" not in str(found)
            outcomes["refused"] += 1
            return
        written, said = found
        assert "SECRET" not in "".join(said)
        hops = tomllib.loads(written)["hop"]
        urls = [url for hop in hops for url in hop.get("urls", [hop.get("url")])]
        assert [read_back(url) for url in urls] == [proxy.parts for proxy in proxies]
        members = [member for hop in loaded(written).hop for member in hop.members]
        assert [as_loaded(member) for member in members] == [proxy.parts for proxy in proxies]
        outcomes["pool" if "urls" in hops[0] else "in order"] += 1

    check()
    assert set(outcomes) == {"refused", "pool", "in order"}, outcomes
