"""anongw and its peers, measured side by side on loopback: `scripts/bench --help`.

workloads.py  what is measured           rounds.py   each peer in turn, round after round
peers.py      how each proxy is set up   running.py  one that runs, and ends
load.py       the load generator         generator/  its source, in C
machine.py    cores, clocks, memory      table.py    medians, spread, ratios; the table and the JSON

Rules: the proxy has one core and the load generator another; all peers of a workload are measured in every
round, one after the other, so that noise hits all alike; what failed is said and never left as a number.
"""
