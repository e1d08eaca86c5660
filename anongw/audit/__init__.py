"""`anongw audit`: the user's own config in a laboratory, and whether anything leaks there.

mapping.py    the config as the gateway there gets it: same addresses, other secrets; written.py, as TOML
canaries.py   what is planted, and who may ever read it
ways.py       which way a connection should go, read from the config here a second time: errands
world.py      networks, stand-ins, recorder and gateway (program.py), as the mapping wants them
expected.py   whom the gateway may talk to for an errand, and who may read what
asking.py     what clients say; corpus.py, what else they send
scene.py      one scenario at work, and record.py what came of it
scenarios.py  all of them: wishes.py, troubles.py, life.py, each a list of scenario.py's
checks.py     what must hold of every record
run.py        one after the other; verdict.py what they came to

The verdict comes from packets and recorded bytes. Nothing here imports the gateway's routing, its policy or
`explain`: a mistake there must not be made here again.
"""
