"""2 GiB through each way: the digest is the same at both ends, and the gateway's memory does not grow.

The reader, which makes the digest, is several times slower than the origin: without back-pressure what it has
not taken yet would have to lie in the gateway.
"""

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import process
from tests.support.nginx import Nginx
from tests.support.programs import PATIENCE, environment, found
from tests.whole.conftest import SETTINGS
from tests.whole.test_clients_curl import WAYS, curl

SIZE = 2 << 30
# KiB by which the largest resident size may exceed that at start. Pipes are the kernel's and do not count.
GROWTH_MOST = 16 << 10


@pytest.fixture(scope="module")
def large(origin: Nginx) -> Iterator[tuple[Path, bytes]]:
    """A sparse file with a number at each mebibyte, so that pieces in another order are another digest."""
    path = origin.files / "large.bin"
    with path.open("wb") as file:
        file.truncate(SIZE)
        for place in range(0, SIZE, 1 << 20):
            file.seek(place)
            file.write(place.to_bytes(8, "big"))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    yield path, digest
    path.unlink()


@pytest.mark.parametrize("way", WAYS)
def test_download(way: str, large: tuple[Path, bytes], origin: Nginx, tmp_path: Path) -> None:
    path, digest = large
    with process.gateway(tmp_path, *SETTINGS) as own:
        # What is loaded at first use only is no growth.
        first = curl(way, own.addresses[0], f"{origin.url}/hello.txt")
        subprocess.run([str(word) for word in first], env=environment(tmp_path), check=True, timeout=PATIENCE)
        before = own.status("VmHWM")
        words = [
            found("curl"),
            *[str(word) for word in curl(way, own.addresses[0], f"{origin.url}/{path.name}")[1:]],
        ]
        with subprocess.Popen(words, env=environment(tmp_path), stdout=subprocess.PIPE) as client:
            assert client.stdout is not None
            received = hashlib.file_digest(client.stdout, "sha256").digest()  # type: ignore[arg-type]
            assert client.wait(PATIENCE) == 0
        grown = own.status("VmHWM") - before
    assert received == digest
    assert grown < GROWTH_MOST, f"{grown} KiB"
