"""One nginx and one gateway for each file of tests with real clients."""

from collections.abc import Iterator

import pytest

from tests.support import nginx, process

# Nobody answers at the resolver: the origin's name is fixed, and any other look-up is an error.
SETTINGS = (
    'policy.allow_private=["127.0.0.0/8"]',
    f'resolve.hosts={{"{nginx.NAME}"=["127.0.0.1"]}}',
    'resolve.servers=["tcp://127.0.0.1:1"]',
)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[nginx.Nginx]:
    with nginx.nginx(tmp_path_factory.mktemp("nginx")) as one:
        yield one


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[process.Gateway]:
    with process.gateway(tmp_path_factory.mktemp("gateway"), *SETTINGS) as one:
        yield one


@pytest.fixture(scope="module")
def address(own: process.Gateway) -> str:
    """HOST:PORT, as clients are told of it."""
    return own.addresses[0]
