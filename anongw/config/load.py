"""From TOML and `--set` to one frozen Config, or to every fault at once.

What is written (`Sources`) becomes structs (`Tables`), what is left out is filled in from the rest, and then
the values are held against each other (`crossed`). Looks at the config's files, its chains' files and the
passwords that those name, and at nothing else: names are not looked up.
"""

import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from anongw.config.chains import Chain, Route
from anongw.config.cross import crossed
from anongw.config.faults import ConfigError, Found
from anongw.config.secrets import read_by_others
from anongw.config.sections import Config
from anongw.config.sources import Sources
from anongw.config.tables import Tables


def load(
    path: pathlib.Path | None,
    sets: Sequence[str] = (),
    *,
    chain: pathlib.Path | None = None,
    also: Callable[[Config], Iterable[Found]] = lambda _: (),
) -> Config:
    """The config of a file (None: the defaults), then of `section.key=value` settings in their order.

    `chain` is a chain's file that everything goes through, whatever chains and routes the config's file has.
    `also` finds faults that only other rooms can see, so that they too get their line.

    Raises:
        ConfigError: with every fault that was found.
    """
    sources = Sources(path, sets, chain)
    found: list[Found] = []
    config = Tables(found, sources.folder).read(Config, sources.data, ())
    if not found and not sources.found:
        config = _filled_in(config, sources, found)
        found.extend(_typed_passwords(config, sources))
        found.extend(crossed(config))
        config = _with_own_ways(config)
    if not found and not sources.found:
        found.extend(also(config))
    if found or sources.found:
        raise ConfigError([*sources.found, *(sources.located(one) for one in found)])
    return config


def exposed(
    config: Config, path: pathlib.Path | None, sets: Sequence[str], chain: pathlib.Path | None
) -> list[pathlib.Path]:
    """Of the files that `config` was loaded from, those with a password in a url that others can read."""
    sources = Sources(path, sets, chain)
    files = {
        sources.file(("chains", name, "hop"))
        for name, chain in config.chains.items()
        if _has_password_in_url(chain)
    }
    return sorted(file for file in files if file and read_by_others(file.stat()))


def _filled_in(config: Config, sources: Sources, found: list[Found]) -> Config:
    """With what a chain takes from its config, and the route that is meant where none is written."""
    chains = {
        # A chain that says nothing of it leaves as everything does; one that says `[egress]` has its own.
        name: chain
        if "egress" in sources.data["chains"][name]
        else msgspec.structs.replace(chain, egress=config.egress)
        for name, chain in config.chains.items()
    }
    route = config.route
    if chains and "route" not in sources.data:
        route = tuple(Route(to=name) for name in chains)
        if len(chains) > 1:
            names = ", ".join(chains)
            found.append((("chains",), f"say what goes through which of {names}: add [[route]] tables"))
            route = route[:1]
    return msgspec.structs.replace(config, chains=chains, route=route)


def _with_own_ways(config: Config) -> Config:
    """With the ways of `[identities]` as what they are: the first routes."""
    own = tuple(Route(identity=(user,), to=one.to) for user, one in config.identities.items() if one.to)
    return msgspec.structs.replace(config, route=(*own, *config.route)) if own else config


def _typed_passwords(config: Config, sources: Sources) -> Iterator[Found]:
    for name, chain in config.chains.items():
        if sources.is_typed(("chains", name, "hop")) and _has_password_in_url(chain):
            message = "other users of this machine can read a password on a command line (ps): "
            yield ("chains", name, "hop"), message + "use password_env, password_file or a file for the chain"


def _has_password_in_url(chain: Chain) -> bool:
    return any(member.url.password for hop in chain.hop for member in hop.members)
