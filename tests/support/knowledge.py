"""Questions of who learns what, and the answers as words that a table can hold."""

from collections.abc import Iterable

import msgspec

from anongw import check
from anongw.config import Chain, Config, Hop, HopUrl, Member, Route, load
from anongw.knowledge import Explanation, Fact, Learns, explain
from anongw.knowledge.question import question

_LETTERS = {Learns.YES: "y", Learns.PLAIN: "p", Learns.NO: "n"}


def config(*sets: str) -> Config:
    """The defaults, and these settings."""
    return load(None, sets, also=check.faults)


def chained(*hops: str | Iterable[str], sets: tuple[str, ...] = (), **options: object) -> Config:
    """Everything through a chain named `way` of these positions: each a URL, or the URLs of a pool."""
    positions = tuple(position(one) for one in hops)
    chain = Chain(hop=positions, **options)  # type: ignore[arg-type]
    return msgspec.structs.replace(config(*sets), chains={"way": chain}, route=(Route(to="way"),))


def position(urls: str | Iterable[str], **options: object) -> Hop:
    members = tuple(member(url) for url in ([urls] if isinstance(urls, str) else urls))
    return Hop(members=members, **options)  # type: ignore[arg-type]


def member(text: str, **options: str) -> Member:
    url = HopUrl(text)
    return Member(url=url, user=url.user, password=url.password, **options)  # type: ignore[arg-type]


def ask(settings: Config, target: str, **options: str) -> Explanation:
    return explain(settings, question(target, **options))  # type: ignore[arg-type]


def letters(found: Explanation) -> dict[str, str]:
    """By row, a letter for each fact: client, gateway, name, address, content, login, hop login, timing."""
    return {row.name: "".join(_LETTERS[row.cells[fact].learns] for fact in Fact) for row in found.rows}


def learns(found: Explanation, row: str, fact: Fact) -> Learns:
    (cells,) = (one.cells for one in found.rows if one.name == row)
    return cells[fact].learns


def why(found: Explanation, row: str, fact: Fact) -> str:
    (cells,) = (one.cells for one in found.rows if one.name == row)
    return cells[fact].why
