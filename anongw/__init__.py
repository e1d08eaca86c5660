"""anongw: an anonymizing gateway. The path of a connection, and the rooms it passes.

accept -> detect -> handshake -> policy -> route -> (resolve) -> dial -> answer -> relay | web

cli/          arguments -> config -> run; exit codes
check.py      what a config would do, in plain words
knowledge/    who would learn what of a connection
audit/        a config in a laboratory: does anything leak?
lab/          its networks, stand-ins and recorder of packets
workers/      several processes that share the listeners, and their parent
gateway.py    carries one connection from accept to close; stops and reloads
reporting.py  what it says of itself              control.py  whom it says it to
openings.py   the sockets that it listens on
registrar.py  what it is told about identities
generation.py the rooms of one config, which a reload replaces
inbound/      what the client asks (SOCKS, HTTP), and how it is answered
web/          plain HTTP requests: scrub, forward, deliver
outbound/     the ways out: through chains of hops, or directly: judged, resolved, judged again, connected
resolve/      names -> addresses; the only place that may
admission.py  may this client connect?     policy.py  may this flow go there?
identities.py who uses it, in which epoch, at what cost
users.py      is this password right?      route.py   which way does it go, in whose name?
targets.py    rules about names and addresses
privacy.py    how names are said, if at all
log.py        what is said, and what is never said      complaints.py  of what now and then
exposure.py   what clients give away before we can help
net/          everything that touches a socket: the engine, streams, the relay
wire/         bytes <-> values, no I/O at all
ledger/       what workers know together: memory that they share
config/       TOML -> frozen, validated values
flow.py       the facts of one connection
address.py    a host and a port            errors.py  Refused
"""

# A literal: importlib.metadata would cost 37 ms at every start.
__version__ = "0.1.0"
