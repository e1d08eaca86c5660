"""Arguments -> config -> run; exit codes.

commands.py   what can be typed        options.py      what every command with a config takes
child.py      the program of `run`     hints.py        lines to copy
status.py     a gateway is asked       tables.py       what it says
chain.py      chain files              examination.py  `chain test` at work, findings.py what it shows
explain.py    who learns what          learnt.py       what it shows
diff.py       what is scrubbed         lines.py        what it shows
ending.py     how a command fails
"""

from anongw.cli.commands import main

__all__ = ["main"]
