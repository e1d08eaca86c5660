"""Arguments -> config -> run; exit codes.

commands.py   what can be typed        ending.py       how a command fails
child.py      the program of `run`     hints.py        lines to copy
status.py     a gateway is asked       tables.py       what it says
chain.py      chain files              examination.py  `chain test` at work, findings.py what it shows
"""

from anongw.cli.commands import main

__all__ = ["main"]
