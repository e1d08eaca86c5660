"""`python -m anongw`."""

from anongw.cli import main

main(prog_name="anongw")
