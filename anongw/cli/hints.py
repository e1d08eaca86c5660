"""How programs are told of the gateway: lines to copy, and the environment variables that `run` sets."""

from collections.abc import Sequence

# What programs look for. FTP and WebSocket too: one that is left as it was would go round the gateway.
_VARIABLES = ("http_proxy", "https_proxy", "ftp_proxy", "ws_proxy", "wss_proxy", "all_proxy")
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 (nothing is bound here)


def hints(addresses: Sequence[str], *, users: bool) -> list[str]:
    """Lines to copy for a gateway that listens on these addresses; `users` where it asks for a password."""
    login = "NAME:PASSWORD@" if users else ""
    address = reachable(addresses)
    if not address:
        path = addresses[0].removeprefix("unix:")
        return [f"curl      curl -x socks5h://{login}localhost{path} https://example.org/"]
    host, _, port = address.rpartition(":")
    http, socks = f"http://{login}{address}", f"socks5h://{login}{address}"
    return [
        f"curl      curl -x {socks} https://example.org/",
        f"git       git -c http.proxy={socks} clone https://example.org/repo.git",
        f"shell     export http_proxy={http} https_proxy={http} all_proxy={http} no_proxy=",
        f"firefox   Settings, Network: SOCKS v5 host {host}, port {port}, and tick Proxy DNS",
        f"chromium  chromium --proxy-server={'http' if users else 'socks5'}://{address}",
    ]


def reachable(addresses: Sequence[str]) -> str:
    """The first TCP listener as a program on this machine reaches it; "" if all are Unix sockets."""
    for address in addresses:
        if not address.startswith("unix:"):
            host, _, port = address.rpartition(":")
            return f"{_EVERYWHERE.get(host, host)}:{port}"
    return ""


def variables(address: str, *, socks: bool) -> dict[str, str]:
    """Every proxy variable, in both cases. HTTP by default: many programs fail on socks5h://."""
    proxy = f"{'socks5h' if socks else 'http'}://{address}"
    values = {**dict.fromkeys(_VARIABLES, proxy), "no_proxy": ""}
    return values | {name.upper(): value for name, value in values.items()}
