"""What is planted is found in whatever form it is written, and what a user's rule keeps is nobody's leak."""

import base64

from anongw.audit import canaries
from anongw.audit.canaries import HEADERS, always, login, secret


def test_a_secret_is_found_in_any_case() -> None:
    found = secret("names", "a name", "Canary-N1-Name")
    assert found.found(b"get http://canary-n1-name.example/")
    assert not found.found(b"canary-n2-name")


def test_a_login_is_found_as_basic_too() -> None:
    coded = base64.b64encode(b"alice:secret").lower()
    assert any(
        one.found(b"authorization: basic " + coded) for one in login("login", "a user", "alice", "secret")
    )


def test_no_canary_is_a_part_of_another() -> None:
    values = [value.lower() for value in HEADERS.values()]
    assert not [(one, other) for one in values for other in values if one != other and one in other]


def test_a_header_that_a_rule_keeps_is_not_looked_for() -> None:
    kept = {one.says for one in always(["REFERER"])}
    assert "the client's Referer" not in kept
    assert "the client's From" in kept


def test_an_address_is_found_as_text_and_as_bytes() -> None:
    found = canaries.address("client", "the client", "10.77.0.2")
    assert found.found(b"for=10.77.0.2")
    assert found.found(b"\x05\x01\x00\x01\x0a\x4d\x00\x02".lower())
