"""What workers know together: memory that they share because they were forked from one process.

tally.py   connections, in all and of each client     rows.py   numbers about things that have names
table.py   records about identities, and the lock     books.py  all of it, for one worker and for one alone
purse.py   budgets of users

Rules that hold here: nothing is copied between processes and nobody is asked, so that every answer comes at
once and no worker waits for another for longer than a few microseconds. What stands in this memory names
nobody: keys are digests under the key of this start. A worker that dies in the middle of a change leaves at
the worst one record that is taken for absent.
"""

from anongw.ledger.books import Books, Ledger, alone
from anongw.ledger.purse import Purse
from anongw.ledger.rows import Rows
from anongw.ledger.table import Table
from anongw.ledger.tally import OwnTally, Tally

__all__ = ["Books", "Ledger", "OwnTally", "Purse", "Rows", "Table", "Tally", "alone"]
