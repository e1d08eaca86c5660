"""What a laboratory finds wrong while it works: a packet unseen, a protocol misspoken, a network not made.

It is an AssertionError because that is what it is to a test.
"""

# Seconds after which a conversation that hangs is given up. Nothing waits for it.
PATIENCE = 20.0


class Wrong(AssertionError):
    """With a sentence."""


def must(holds: object, message: object) -> None:
    """Raise Wrong unless it `holds`; unlike `assert`, under `python -O` too."""
    if not holds:
        raise Wrong(message)
