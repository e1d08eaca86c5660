"""An authority of the laboratory's own, made anew each time: its key never leaves the folder that it is in.

The work is OpenSSL's program's, so that nothing has to be installed beside the gateway.
"""

import ipaddress
import ssl
import subprocess
from pathlib import Path
from typing import Final

from anongw.lab.wrong import must

_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_DAYS: Final = "2"  # no run takes one


class Authority:
    """Vouches for whomever it is asked to, in files below `folder`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._made: dict[str, Path] = {}
        self.file = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        ca = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
        _openssl("-keyout", str(self._key), "-out", str(self.file), "-subj", f"/CN={name}", *_KEY, *ca)

    def certificate(self, name: str) -> Path:
        """Key and certificate for a name or an address, in one PEM file."""
        if name not in self._made:
            place = self._folder / f"{self._name}-{len(self._made)}.pem"
            both = ("-keyout", str(place) + ".key", "-out", str(place) + ".crt")
            issuer = ("-CA", str(self.file), "-CAkey", str(self._key))
            # Beside the names nothing: a client judges by subjectAltName alone (RFC 9525 section 1.4.1).
            names = f"subjectAltName={'IP' if _is_address(name) else 'DNS'}:{name}"
            end = ("-addext", "basicConstraints=critical,CA:FALSE", "-addext", names)
            _openssl(*both, *issuer, "-subj", "/O=laboratory", *_KEY, *end)
            place.write_bytes(Path(both[1]).read_bytes() + Path(both[3]).read_bytes())
            self._made[name] = place
        return self._made[name]

    def context(self, name: str, *alpn: str) -> ssl.SSLContext:
        """A server's, with a certificate for this name or address."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate(name))
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def der(self, name: str) -> bytes:
        """The certificate alone, as it is sent."""
        text = Path(str(self.certificate(name)) + ".crt").read_text()
        return ssl.PEM_cert_to_DER_cert(text)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _openssl(*words: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - its words are the laboratory's own
            ["openssl", "req", "-x509", "-days", _DAYS, *words],  # noqa: S607 - where it lies differs
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        must(holds=False, message="openssl is not installed")
        raise
    must(done.returncode == 0, f"openssl: {done.stderr.strip()}")
