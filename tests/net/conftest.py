"""What lies close to the engine runs on every loop that it can be driven from."""

import pytest

from tests.support.backends import BENEATH, Backend


@pytest.fixture(params=["asyncio", "trio", pytest.param(BENEATH, id="beneath")])
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    backend: Backend = request.param
    return backend
