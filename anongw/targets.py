"""Rules about targets (`config.Rule`), gathered so that a long list of names costs no more than a short one.

Pure. A name is matched as a name and an address as an address: nothing is looked up here to find out more.
"""

from collections.abc import Collection, Iterable

from anongw.address import Address, suffixes
from anongw.config import Network, Rule


class Targets:
    """Rules by what they look at."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._names: dict[str, list[Rule]] = {}
        self._networks: list[tuple[Network, range]] = []
        self._all: list[range] = []
        for rule in rules:
            if rule.network is not None:
                self._networks.append((rule.network, rule.ports))
            elif rule.name:
                self._names.setdefault(rule.name, []).append(rule)
            else:
                self._all.append(rule.ports)

    @property
    def has_networks(self) -> bool:
        return bool(self._networks)

    def match(self, name: str | None, addresses: Collection[Address], port: int) -> bool:
        """Whether any rule is about this name or one of these addresses, at this port."""
        if any(port in ports for ports in self._all):
            return True
        if name and self._names and self._match_name(name, port):
            return True
        return any(
            port in ports and address in network for network, ports in self._networks for address in addresses
        )

    def _match_name(self, name: str, port: int) -> bool:
        return any(
            port in rule.ports and (suffix == name or not rule.exact)
            for suffix in suffixes(name)
            for rule in self._names.get(suffix, ())
        )
