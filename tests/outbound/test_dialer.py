"""Everything that dials has the one shape."""

import inspect

import pytest

from anongw.outbound.chain import Chain
from anongw.outbound.dialer import Dialer
from anongw.outbound.direct import Direct
from anongw.outbound.ways import Ways


@pytest.mark.parametrize("kind", [Direct, Chain, Ways])
def test_the_shape(kind: type[Dialer]) -> None:
    assert inspect.signature(kind.dial) == inspect.signature(Dialer.dial)
    assert inspect.iscoroutinefunction(kind.dial)
