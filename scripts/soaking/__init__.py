"""A soak: connections of every kind through one gateway, and what is left of them: `scripts/soak --help`.

clients.py   what a client can do, right and wrong, and what it must hear
crowd.py     many clients at once, and the stalled ones among them
gateway.py   the gateway, its origin, and what is counted of it
judge.py     counts -> what is wrong

Rules: every client checks what it hears; whoever hears something else is told, and the soak has failed.
"""
