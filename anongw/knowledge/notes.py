"""What no table shows, in sentences."""

from collections.abc import Iterator

from anongw.config import Chain
from anongw.knowledge.glimpse import Glimpse


def notes(see: Glimpse) -> Iterator[str]:
    """A sentence for each."""
    asked, way = see.asked, see.way
    if asked.config.goes_direct_unasked:
        yield "no route is written, so that all goes out directly"
    if not see.named:
        yield (
            "the target is an address: where the client had to look a name up to find it, its own resolver "
            "knows the name, and whoever reads the stream may (Host, SNI)"
        )
    if asked.question.user is not None and not asked.config.users:
        yield "without [users] a client is who it says it is"
    if asked.shared and asked.question.user is not None:
        yield "the line from the client bears its user and password for this gateway in the clear"
    if way.chain is not None:
        yield from _of_chain(see, way.chain)


def _of_chain(see: Glimpse, chain: Chain) -> Iterator[str]:
    legs = see.way.legs
    if len(legs) > 1:
        yield "a member is direct, so that the connection may go by hops or without any: the table has both"
    if any(leg.overlay for leg in legs):
        yield "what lies behind the exit is its overlay's own, and stands in no row"
    if any(hop.pick > 1 for hop in chain.hop):
        yield "a pool of which several serve in a row has one row for each place; any member may stand at any"
    if chain.probe.target:
        yield f"probes go to {chain.probe.target} through the chain, with no client behind them"
