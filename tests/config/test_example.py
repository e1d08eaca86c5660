"""The example is a config: as printed it changes nothing, and each of its lines can be taken."""

import re
from pathlib import Path

import msgspec

from anongw.config import Chain, Config, HopUrl, NamedIdentity, Route, load
from anongw.config.example import example


def test_as_printed_it_is_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "anongw.toml"
    path.write_text(example())
    assert load(path) == Config()


def test_every_key_taken_it_still_loads_and_says_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "anongw.toml"
    path.write_text(re.sub("^#(?! )", "", example(), flags=re.MULTILINE))
    config = load(path)
    assert set(config.users) == {"alice"}
    assert config.identities == {"alice": NamedIdentity()}
    assert set(config.personas) == {"example", "old-curl"}
    assert config.resolve.zones
    assert config.resolve.hosts
    (rule,) = config.scrub.rules
    assert rule.drop
    assert rule.set
    assert rule.keep
    (chain,) = config.chains.values()
    (hop,) = chain.hop
    assert hop.members[0].url == HopUrl("socks5://127.0.0.1:9050")
    assert msgspec.structs.replace(chain, hop=()) == Chain()
    assert config.route == (Route(to="direct"),)
    plain = msgspec.structs.replace(
        config,
        users={},
        identities={},
        personas={},
        chains={},
        resolve=msgspec.structs.replace(config.resolve, zones={}, hosts={}),
        scrub=msgspec.structs.replace(config.scrub, rules=()),
    )
    assert plain == Config()


def test_every_key_is_there() -> None:
    text = example()
    for section in msgspec.structs.fields(Config):
        assert re.search(rf"^#?\[+{section.name}[\].]", text, re.MULTILINE), section.name
    for table in ("[[chains.example.hop]]", "[chains.example.health]", "[chains.example.probe]", "[[route]]"):
        assert f"\n#{table}\n" in text
    for name in (
        "idle",
        "handshake",
        "profile",
        "allow_private",
        "by_destination",
        "negative_most",
        "clients",
        "family",
        "strategy",
        "password_file",
        "pin",
        "hold_most",
        "protocol",
        "interface",
        "socket",
        "by_client",
    ):
        assert f"\n#{name} = " in text


def test_the_keys_of_a_chain_make_a_chains_file(tmp_path: Path) -> None:
    text = re.sub("^#(?! )", "", example(), flags=re.MULTILINE)
    text = text[text.index("[chains.example]\n") : text.index("[[route]]\n")]
    path = tmp_path / "one.toml"
    path.write_text(text.replace("[chains.example]\n", "").replace("chains.example.", ""))
    (chain,) = load(None, chain=path).chains.values()
    assert msgspec.structs.replace(chain, hop=()) == Chain()


def test_its_lines_fit_a_screen() -> None:
    assert max(len(line) for line in example().splitlines()) <= 110
