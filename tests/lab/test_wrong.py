"""What the laboratory finds wrong is a test's failure."""

import pytest

from anongw.lab.wrong import Wrong, must


def test_what_holds_is_passed_over() -> None:
    must(holds=True, message="never said")


def test_what_does_not_is_said() -> None:
    with pytest.raises(AssertionError, match="a packet went unseen") as caught:
        must(holds=[], message="a packet went unseen")
    assert isinstance(caught.value, Wrong)
