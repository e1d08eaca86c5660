"""Arguments -> config -> run; exit codes.

commands.py   what can be typed   child.py   the program behind `anongw run`   hints.py   lines to copy
"""

from anongw.cli.commands import main

__all__ = ["main"]
