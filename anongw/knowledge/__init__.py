"""Who would learn what of a connection: a pure function of a config and a question.

table.py     what is said: parties, facts, cells     question.py  what is asked
legs.py      which way it goes, or where it stops    stages.py    hops in a row, and what TLS hides
glimpse.py   what can be seen at a place             parties.py   who stands where
lookups.py   what resolvers are asked                gateway.py   what the gateway itself tells
claim.py     whether a chain does what it is for     notes.py     what no table shows
explain.py   all of it

Rules: no socket, clock or chance, and nobody is asked. What decides in the gateway decides here: `Table`,
`Policy`, `Whom`, `Isolation`, the scrubber. What may be seen counts as seen: of a pool the worst member
counts, of several ways all. What only a running gateway can tell is left out: which member works, what a name
leads to, and that a public address is this machine's own.
"""

from anongw.knowledge.explain import explain
from anongw.knowledge.question import Content, Question, Unanswerable
from anongw.knowledge.table import Cell, Claim, Explanation, Fact, Learns, Party, Refusal, Row, Taken, Where

__all__ = [
    "Cell",
    "Claim",
    "Content",
    "Explanation",
    "Fact",
    "Learns",
    "Party",
    "Question",
    "Refusal",
    "Row",
    "Taken",
    "Unanswerable",
    "Where",
    "explain",
]
