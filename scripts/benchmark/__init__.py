"""anongw and its peers, measured side by side on loopback: `scripts/bench --help`.

workloads.py  what is measured           bench.py    one run of it: who takes part, what comes of it
rounds.py     each peer in turn          anew.py     starts and memory: a new proxy in each round
peers.py      how each proxy is set up   running.py  one that runs, and ends
load.py       the load generator         generator/  its source, in C
machine.py    cores, clocks, memory      table.py    medians, spread, ratios; the table and the JSON
targets.py    what is to be reached, and whether it was

Rules: the proxy has one core and the load generator another; all peers of a workload are measured in every
round, one after the other, so that noise hits all alike; what failed is said and never left as a number.
"""
