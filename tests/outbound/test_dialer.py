"""Everything that dials has the one shape."""

import inspect

import pytest

from anongw.outbound.dialer import Dialer
from anongw.outbound.direct import Direct


@pytest.mark.parametrize("kind", [Direct])
def test_the_shape(kind: type[Dialer]) -> None:
    assert inspect.signature(kind.dial) == inspect.signature(Dialer.dial)
    assert inspect.iscoroutinefunction(kind.dial)
