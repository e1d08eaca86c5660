"""A flow takes the way that its route names, and no other."""

import pytest

from anongw.address import Endpoint
from anongw.errors import Reason, Refused
from anongw.flow import Flow
from anongw.net.fiber import Fiber
from anongw.net.stream import Stream
from anongw.outbound.ways import Ways
from tests.support.driven import driven

TARGET = Endpoint("a.example", 80)


class Noted:
    """A way that says no and remembers who came."""

    def __init__(self) -> None:
        self.flows: list[Flow] = []

    async def dial(self, target: Endpoint, flow: Flow, fiber: Fiber) -> Stream:
        self.flows.append(flow)
        raise Refused(Reason.HOST_UNREACHABLE)


async def dialled(ways: Ways, route: str) -> Reason | type[Exception]:
    outcome: list[Reason | type[Exception]] = []

    async def carry(fiber: Fiber, _client: Stream) -> None:
        try:
            await ways.dial(TARGET, Flow("127.0.0.1:1080", route=route), fiber)
        except Refused as refused:
            outcome.append(refused.reason)
        except KeyError as error:
            outcome.append(type(error))

    async with driven() as engine:
        await engine.flow(carry).over()
    return outcome[0]


async def test_each_route_leads_its_own_way() -> None:
    tor, direct = Noted(), Noted()
    ways = Ways({"tor": tor, "direct": direct})
    assert await dialled(ways, "tor") is Reason.HOST_UNREACHABLE
    assert (len(tor.flows), len(direct.flows)) == (1, 0)


async def test_refuse_leads_nowhere() -> None:
    direct = Noted()
    assert await dialled(Ways({"direct": direct}), "refuse") is Reason.ROUTE_REFUSED
    assert direct.flows == []


@pytest.mark.parametrize("route", ["", "direct", "other"])
async def test_a_way_that_nobody_wrote_does_not_exist(route: str) -> None:
    """It is a bug to get here, and a bug ends its flow: there is nothing to fall back to."""
    tor = Noted()
    assert await dialled(Ways({"tor": tor}), route) is KeyError
    assert tor.flows == []
