"""What a refusal says, and that its detail does not travel with it."""

import pytest

from anongw.errors import Reason, Refused


@pytest.mark.parametrize("reason", Reason)
def test_the_text_is_the_reason_alone(reason: Reason) -> None:
    assert str(Refused(reason, "secret.example")) == reason.value


def test_values_are_words_of_their_own() -> None:
    values = [reason.value for reason in Reason]
    assert len(set(values)) == len(values)
    assert all(value.replace("-", "").isalpha() and value.islower() for value in values)


def test_the_detail_is_kept_for_the_log() -> None:
    assert Refused(Reason.MALFORMED, "Host").detail == "Host"
    assert Refused(Reason.MALFORMED).detail == ""
