"""Whose address is what in the laboratory; none of them leads anywhere else.

client 10.77.0.2 --- 10.77.0.1 gateway 20.0.0.1 --- 20.0.0.53, .80, .81, 9.9.9.9, 1.1.1.1 outside
"""

from anongw.lab.networks import Plan

CLIENT, CLIENTS = "10.77.0.2", "10.77.0.0/24"
GATEWAY, PORT = "10.77.0.1", 3128
GATEWAY_OUTSIDE = "20.0.0.1"
# The one that the machine is set to, by /etc/resolv.conf.
RESOLVER = "20.0.0.53"
ORIGIN = "20.0.0.80"
# Nobody listens there.
CLOSED = "20.0.0.81"
# Where anongw asks if nothing else is said: address and name of each.
QUAD9, CLOUDFLARE = ("9.9.9.9", "dns.quad9.net"), ("1.1.1.1", "cloudflare-dns.com")
# On the gateway's own machine: what a cloud's machine keeps there knows its secrets.
LOOPBACK, METADATA = "127.0.0.1", "169.254.169.254"
WEB = 80

# Names: below it each is the origin's, but this one is the machine's own (DNS rebinding).
ZONE = "canary-zone.example"
REBOUND = f"rebound.{ZONE}"
# The gateway's machine is called so.
MACHINE = "canary-machine-z9"

_ROUTER = "20.0.0.254"
PLAN = Plan(
    client=(f"{CLIENT}/24",),
    inside=(f"{GATEWAY}/24",),
    own=(f"{GATEWAY_OUTSIDE}/24",),
    outside=(
        *(f"{one}/24" for one in (_ROUTER, RESOLVER, ORIGIN, CLOSED)),
        *(f"{one}/32" for one, _ in (QUAD9, CLOUDFLARE)),
    ),
    routers=(_ROUTER,),
    local=(f"{METADATA}/32",),
)
