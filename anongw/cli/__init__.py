"""Arguments -> config -> run; exit codes.

commands.py   what can be typed   child.py   the program behind `anongw run`   hints.py   lines to copy
status.py     a running gateway is asked         tables.py  what it says
"""

from anongw.cli.commands import main

__all__ = ["main"]
