"""The sections themselves: frozen, and each field explained."""

import msgspec
import pytest

from anongw.config import Config, Limits, load
from anongw.config.example import texts
from anongw.config.values import Bytes, Seconds


def structs() -> list[type[msgspec.Struct]]:
    found = [Config, *(field.type for field in msgspec.structs.fields(Config))]
    return [one for one in found if isinstance(one, type) and issubclass(one, msgspec.Struct)]


@pytest.mark.parametrize("struct", structs())
def test_every_field_is_explained_and_has_a_default(struct: type[msgspec.Struct]) -> None:
    assert struct.__struct_config__.frozen
    assert struct.__struct_config__.forbid_unknown_fields
    explained = texts()[struct.__name__]
    for field in msgspec.structs.fields(struct):
        assert not field.required
        if struct is not Config or field.name == "users":
            assert len(explained[field.name]) > 20, field.name
    assert len(explained[""]) > 20


def test_every_limit_can_be_set() -> None:
    for field in msgspec.structs.fields(Limits):
        value = {Seconds: "7s", Bytes: "7KiB"}.get(field.type, 7)
        if field.name == "per_client":
            continue  # held against `connections`; has tests of its own
        written = (
            f'limits.{field.name}="{value}"' if isinstance(value, str) else f"limits.{field.name}={value}"
        )
        expected = {"7s": 7.0, "7KiB": 7168}.get(str(value), value)
        assert getattr(load(None, [written]).limits, field.name) == expected


def test_a_config_shows_no_hash() -> None:
    config = load(None, [f"users.bob=$scrypt$ln=14,r=8,p=1${'A' * 22}${'B' * 43}"])
    assert "scrypt" not in repr(config)
    assert "BBB" not in f"{config}"
