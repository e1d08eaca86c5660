"""What proxies let through, the gateway among them, each in a laboratory: `scripts/leakbench --help`.

peers.py     how each proxy is set up: as it comes, and as its documentation makes it anonymous
scene.py     the laboratory: a client, a resolver, an origin that records, services nobody may reach
plain.py     rows of the matrix: plain HTTP requests, their answers, errors
ways.py      rows of the matrix: names, SOCKS, targets, ambiguous requests
matrix.py    all rows and peers; the table and the JSON

Rules: a cell says what bytes and packets showed in this run, and nothing that a manual says; what a proxy
does not speak stays empty; all meet the same requests.
"""
