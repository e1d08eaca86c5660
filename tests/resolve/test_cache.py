"""The cache: TTL, bounds, and nothing that crosses identities."""

import hypothesis.strategies as st
import pytest
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from anongw.resolve.cache import IDENTITY_SHARE, Cache


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def test_a_value_lives_for_its_ttl() -> None:
    clock = Clock()
    cache: Cache[str] = Cache(100, clock)
    cache.put("me", "a.example", "value", 10)
    clock.time += 9.999
    assert cache.get("me", "a.example") == "value"
    clock.time += 0.001
    assert cache.get("me", "a.example") is None
    assert len(cache) == 0


@pytest.mark.parametrize("ttl", [0, -1])
def test_no_ttl_no_place(ttl: float) -> None:
    cache: Cache[str] = Cache(100, Clock())
    cache.put("me", "a.example", "value", ttl)
    assert len(cache) == 0


def test_a_cache_may_be_off() -> None:
    cache: Cache[str] = Cache(0, Clock())
    cache.put("me", "a.example", "value", 10)
    assert cache.get("me", "a.example") is None


def test_a_newer_value_replaces_the_older_one() -> None:
    cache: Cache[str] = Cache(100, Clock())
    cache.put("me", "a.example", "old", 10)
    cache.put("me", "a.example", "new", 10)
    assert cache.get("me", "a.example") == "new"
    assert len(cache) == 1


def test_one_identity_cannot_fill_it() -> None:
    cache: Cache[int] = Cache(40, Clock())
    cache.put("other", "kept.example", -1, 10)
    for number in range(100):
        cache.put("greedy", f"{number}.example", number, 10)
    assert len(cache) == 40 // IDENTITY_SHARE + 1
    assert cache.get("other", "kept.example") == -1


def test_what_was_used_least_recently_goes_first() -> None:
    cache: Cache[str] = Cache(2 * IDENTITY_SHARE, Clock())  # two for each identity
    cache.put("me", "a.example", "a", 10)
    cache.put("me", "b.example", "b", 10)
    cache.get("me", "a.example")
    cache.put("me", "c.example", "c", 10)
    assert [cache.get("me", f"{name}.example") for name in "abc"] == ["a", None, "c"]


def test_all_identities_together_are_bounded() -> None:
    cache: Cache[int] = Cache(10, Clock())
    for number in range(100):
        cache.put(f"identity {number}", "a.example", number, 10)
    assert len(cache) == 10
    assert [
        number for number in range(100) if cache.get(f"identity {number}", "a.example") is not None
    ] == list(range(90, 100))


identities = st.sampled_from(["", "a", "b", "a\0b", "alice", "alice "])
names = st.sampled_from(["a.example", "b.example", "c.example"])


@given(st.lists(st.tuples(identities, names)), identities, names)
def test_nothing_crosses_identities(puts: list[tuple[str, str]], identity: str, name: str) -> None:
    cache: Cache[tuple[str, str]] = Cache(1000, Clock())
    for key in puts:
        cache.put(*key, key, 10)
    assert cache.get(identity, name) == ((identity, name) if (identity, name) in puts else None)


def test_what_one_has_learnt_is_forgotten_and_no_more() -> None:
    cache: Cache[int] = Cache(100, Clock())
    for name in ("a", "b"):
        cache.put("alice", name, 1, 10)
        cache.put("bob", name, 2, 10)
    assert cache.forget("nobody") == 0
    assert cache.forget("alice") == 2
    assert (cache.get("alice", "a"), cache.get("bob", "a"), len(cache)) == (None, 2, 2)


class CacheAgainstADictionary(RuleBasedStateMachine):
    """Whatever is done, the cache says what a plain dictionary says, or nothing; and it keeps its bounds."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.cache: Cache[int] = Cache(6, self.clock)
        self.model: dict[tuple[str, str], tuple[float, int]] = {}
        self.number = 0

    @rule(identity=identities, name=names, ttl=st.integers(0, 5))
    def put(self, identity: str, name: str, ttl: int) -> None:
        self.number += 1
        self.cache.put(identity, name, self.number, ttl)
        if ttl:
            self.model[identity, name] = self.clock.time + ttl, self.number

    @rule(identity=identities, name=names)
    def get(self, identity: str, name: str) -> None:
        expires, value = self.model.get((identity, name), (0.0, 0))
        assert self.cache.get(identity, name) in (None, value if self.clock.time < expires else None)

    @rule(identity=identities)
    def forget(self, identity: str) -> None:
        self.cache.forget(identity)
        self.model = {key: value for key, value in self.model.items() if key[0] != identity}

    @rule(seconds=st.integers(1, 3))
    def wait(self, seconds: int) -> None:
        self.clock.time += seconds

    @invariant()
    def bounded(self) -> None:
        assert len(self.cache) <= 6
        assert len(self.cache) == sum(len(shelf) for shelf in self.cache._shelves.values())
        assert all(0 < len(shelf) <= 6 // IDENTITY_SHARE for shelf in self.cache._shelves.values())


TestCacheAgainstADictionary = CacheAgainstADictionary.TestCase
