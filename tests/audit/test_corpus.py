"""What is sent is what it claims to be."""

import ipaddress

import pytest

from anongw.audit.asking import Login, get
from anongw.audit.canaries import HEADERS
from anongw.audit.checks import SMUGGLED
from anongw.audit.corpus import DRESSES, NONSENSE, PRIVATE, SMUGGLING


def test_every_smuggler_has_a_second_request_for_the_same_host() -> None:
    for requests in SMUGGLING.values():
        for request in requests:
            assert request.count(SMUGGLED) == 1
            assert request.count(b"%b") >= 3


def test_nonsense_holds_nothing_that_could_be_smuggled() -> None:
    assert not any(SMUGGLED in raw for raw in NONSENSE)


def test_private_targets_are_private_in_the_spellings_that_python_knows() -> None:
    for targets in PRIVATE.values():
        for target in targets:
            try:
                address = ipaddress.ip_address(target)
            except ValueError:
                continue
            assert not address.is_global or target.startswith("64:ff9b::"), target


@pytest.mark.parametrize("dressed", DRESSES)
def test_however_it_is_dressed_it_is_a_request_with_what_was_planted(dressed: str) -> None:
    request = DRESSES[dressed](get("a.example", 80, Login(), HEADERS))
    head, _, _ = request.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    assert first.endswith((b" http://a.example/ HTTP/1.1", b" http://a.example/ HTTP/1.0"))
    assert all(b":" in line for line in lines)
    assert lines[0].lower() == b"host: a.example" or b"\t" in lines[0]
    assert HEADERS["X-Forwarded-For"].encode() in request
    assert HEADERS["From"].encode() in request


def test_each_dress_is_another_one() -> None:
    plain = get("a.example", 80, Login(), HEADERS)
    assert len({dress(plain) for dress in DRESSES.values()}) == len(DRESSES)
