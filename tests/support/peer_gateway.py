"""tinyproxy in a gateway's place: `python -m tests.support.peer_gateway serve --config FILE`.

It listens where the first listener is, and knows nothing of the rest: an honest proxy that hides little.
"""

import os
import sys
import tomllib
from pathlib import Path


def main() -> None:
    """Become it."""
    config = Path(sys.argv[sys.argv.index("--config") + 1])
    host, _, port = tomllib.loads(config.read_text())["listen"]["addresses"][0].rpartition(":")
    settings = config.with_name("tinyproxy.conf")
    settings.write_text(f"Listen {host}\nPort {port}\nTimeout 5\n")
    os.execvp("tinyproxy", ["tinyproxy", "-d", "-c", str(settings)])


if __name__ == "__main__":
    main()
