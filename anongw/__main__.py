"""`python -m anongw`."""

import signal

# Ctrl-C while the rest loads ends it without a traceback; the gateway has a receiver of its own later.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from anongw.cli import main  # noqa: E402 - for the reason above

main(prog_name="anongw")
