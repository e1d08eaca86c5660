# a client that says its last after its upload, to a slow origin
import socket
from tests.support.gateway import running
from tests.support.raw_origin import OK, Origin
def test_slow(anyio_backend):
    with running(anyio_backend,"limits.half_closed=300ms") as g, Origin(buffer=4096) as o, g.connect() as c:
        n=3<<20
        c.send(o.request("/",f"Content-Length: {n}",method="PUT")+bytes(n)); c.last()
        with o.accept() as far:
            far.head()
            got=0
            try:
                while got<n:
                    far.hears(0.001); import time; time.sleep(0.02)
                    p=far.sock.recv(32768)
                    if not p: break
                    got+=len(p)
            except OSError as e: print(e)
            print("got",got,"of",n)
            assert got==n or got>n-70000
