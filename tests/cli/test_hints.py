"""Lines to copy, and the variables that `run` sets."""

import pytest

from anongw.cli.hints import hints, reachable, variables


@pytest.mark.parametrize(
    ("addresses", "address"),
    [
        (["127.0.0.1:1080"], "127.0.0.1:1080"),
        (["unix:/run/a.sock", "[::1]:1080"], "[::1]:1080"),
        (["0.0.0.0:1080"], "127.0.0.1:1080"),
        (["[::]:1080"], "[::1]:1080"),
        (["192.0.2.1:1080", "127.0.0.1:1"], "192.0.2.1:1080"),
        (["unix:/run/a.sock"], ""),
    ],
)
def test_the_address_that_a_local_program_uses(addresses: list[str], address: str) -> None:
    assert reachable(addresses) == address


def test_lines_for_curl_git_the_shell_and_browsers() -> None:
    lines = {line.split()[0]: line for line in hints(["[::1]:1080"], users=False)}
    assert "-x socks5h://[::1]:1080 " in lines["curl"]
    assert "http.proxy=socks5h://[::1]:1080 " in lines["git"]
    proxies = "http_proxy=http://[::1]:1080 https_proxy=http://[::1]:1080 all_proxy=http://[::1]:1080"
    assert lines["shell"].endswith(f"export {proxies} no_proxy=")
    assert "host [::1], port 1080" in lines["firefox"]
    assert lines["chromium"].endswith("--proxy-server=socks5://[::1]:1080")


def test_with_users_there_is_a_place_for_them() -> None:
    lines = {line.split()[0]: line for line in hints(["127.0.0.1:1"], users=True)}
    assert "socks5h://NAME:PASSWORD@127.0.0.1:1 " in lines["curl"]
    # Chromium has no passwords for SOCKS and asks for HTTP's itself.
    assert lines["chromium"].endswith("--proxy-server=http://127.0.0.1:1")


def test_a_unix_socket_has_curl_only() -> None:
    assert hints(["unix:/run/a.sock"], users=False) == [
        "curl      curl -x socks5h://localhost/run/a.sock https://example.org/"
    ]


@pytest.mark.parametrize(("socks", "proxy"), [(False, "http://127.0.0.1:1"), (True, "socks5h://127.0.0.1:1")])
def test_every_variable_in_both_cases(socks: bool, proxy: str) -> None:  # noqa: FBT001
    found = variables("127.0.0.1:1", socks=socks)
    for name in ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy"):
        assert found[name] == found[name.upper()] == proxy
    assert found["no_proxy"] == found["NO_PROXY"] == ""
