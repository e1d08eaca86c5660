"""What is divided among workers comes to the whole again; what is not divided is everybody's."""

import msgspec
import pytest

from anongw.config import Config, load
from anongw.workers.shares import DIVIDED, share


def config(workers: int, *sets: str) -> Config:
    return load(None, (f"listen.workers={workers}", *sets))


@pytest.mark.parametrize("workers", [2, 3, 7])
@pytest.mark.parametrize(("section", "name"), DIVIDED)
def test_all_shares_together_are_the_whole(workers: int, section: str, name: str) -> None:
    whole = config(workers, f"{section}.{name}=1000")
    parts = [getattr(getattr(share(whole, index), section), name) for index in range(workers)]
    assert sum(parts) == 1000
    assert max(parts) - min(parts) <= 1


def test_nothing_else_is_touched() -> None:
    whole = config(2)
    part = share(whole, 1)
    back = part
    for section, name in DIVIDED:
        old = getattr(getattr(whole, section), name)
        new = msgspec.structs.replace(getattr(back, section), **{name: old})
        back = msgspec.structs.replace(back, **{section: new})
    assert part != whole
    assert back == whole


def test_one_alone_has_all() -> None:
    whole = config(1)
    assert share(whole, 0) is whole
