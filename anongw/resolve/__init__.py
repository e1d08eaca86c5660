"""Names to addresses; the only place that may. The system's resolver is never asked.

resolver.py   what the gateway calls: who is asked, what is believed, for how long
zones.py      names that are asked of nobody     cache.py    what is known, apart for each identity
flight.py     one question for all who wait      race.py     A and AAAA at once
verdict.py    what the answers come to           choice.py   which of several servers
upstream.py   one server and its connection      link.py     a connection: framed.py, http2.py, http1.py
https.py      what HTTP shows of us              udp.py      one question in a datagram
server.py     how a user names a server          system.py   the servers that this machine is set to
"""
