"""What is sent is what it claims to be."""

import ipaddress

from anongw.audit.checks import SMUGGLED
from anongw.audit.corpus import NONSENSE, PRIVATE, SMUGGLING


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
