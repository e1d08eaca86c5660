"""The commands as a person types them: what they print, and their exit codes."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from anongw import __version__
from anongw.cli import main
from anongw.config import Config, load
from anongw.users import verify


def invoke(*arguments: str, stdin: str = "", env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin, env=env)


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "anongw", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_teaches(arguments: list[str]) -> None:
    found = invoke(*arguments)
    assert found.exit_code == 0
    for part in (
        "anongw serve",
        "anongw serve --chain",
        "anongw run -- curl",
        "anongw check",
        "anongw explain",
        "anongw diff",
        "git -c",
        "export http_proxy=",
    ):
        assert part in found.output


@pytest.mark.parametrize("command", ["serve", "run", "check", "explain", "diff", "passwd"])
def test_every_command_has_help(command: str) -> None:
    found = invoke(command, "--help")
    assert found.exit_code == 0
    assert "\\b" not in found.output
    if command != "passwd":
        for option in (
            "--config",
            "--chain",
            "--listen",
            "--dns",
            "--allow-private",
            "--profile",
            "--log-names",
            "--set",
        ):
            assert option in found.output


def test_version() -> None:
    assert invoke("--version").output == f"anongw {__version__}\n"


def test_a_misspelt_command_is_put_right() -> None:
    found = invoke("serv")
    assert found.exit_code == 2
    assert "serve" in found.output


def test_check_sums_up() -> None:
    found = invoke("check", "--listen", "127.0.0.1:7", "--profile", "strict", "--allow-private", "10.0.0.0/8")
    assert found.exit_code == 0
    for part in ("127.0.0.1:7", "profile strict", "private 10.0.0.0/8", "note: with no chain"):
        assert part in found.stdout
    assert found.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--listen", "0.0.0.0:1"), "command line: listen.addresses[0]: other machines can reach 0.0.0.0:1"),
        (
            ("--set", "limits.idel=1h"),
            'command line: limits.idel: there is no such key; did you mean "idle"?',
        ),
        (("--dns", "9.9.9.9"), "command line: resolve.servers[0]: "),
        (("--profile", "ballanced"), 'did you mean "balanced"?'),
        (("--allow-private", "10.0.0.1/8"), 'write "10.0.0.0/8"'),
        (("--config", "/nowhere.toml"), "/nowhere.toml: cannot be read: No such file or directory"),
        (("--set", "nothing"), "write --set section.key=value"),
    ],
)
@pytest.mark.parametrize("command", [("check",), ("serve",), ("run", "--", "true")])
def test_a_wrong_config_ends_with_2_and_the_cure(
    command: tuple[str, ...], arguments: tuple[str, ...], part: str
) -> None:
    found = invoke(command[0], *arguments, *command[1:])
    assert found.exit_code == 2
    assert part in found.stderr
    assert all(line.startswith("anongw: ") for line in found.stderr.splitlines())
    assert found.stdout == ""


HOP = '[[hop]]\nurl = "socks5://{}192.0.2.1"\n'


@pytest.fixture
def chain_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(HOP.format(""))
    return path


def test_check_tells_a_chain(chain_file: Path) -> None:
    found = invoke("check", "--chain", str(chain_file))
    assert found.exit_code == 0
    for part in (
        "everything: through mine",
        "mine: 1 socks5 192.0.2.1:1080",
        "note: chains.mine: whoever is on",
    ):
        assert part in found.stdout
    assert "with no chain" not in found.stdout
    assert found.stderr == ""


@pytest.mark.parametrize(
    ("option", "text", "part"),
    [
        ("--chain", '[[hop]]\nulr = "x"', "mine.toml:2: hop[0].ulr: there is no such key"),
        ("--chain", "[[hop]]", "mine.toml:1: hop[0]: write one of url, urls"),
        (
            "--chain",
            '[listen]\naddresses = ["127.0.0.1:1"]',
            "mine.toml:1: listen: this is a config: use --config",
        ),
        ("--chain", "[[hop]\n", "mine.toml:1: not TOML"),
        ("--config", HOP, "mine.toml:1: hop: this is a chain: use --chain"),
        ("--config", '[chains]\na = "none.toml"', "none.toml cannot be read: No such file"),
    ],
)
@pytest.mark.parametrize("command", [("check",), ("serve",), ("run", "--", "true")])
def test_a_wrong_chain_ends_with_2_and_the_cure(
    chain_file: Path, command: tuple[str, ...], option: str, text: str, part: str
) -> None:
    chain_file.write_text(text)
    found = invoke(command[0], option, str(chain_file), *command[1:])
    assert found.exit_code == 2
    assert part in found.stderr
    assert len(found.stderr.splitlines()) == 1
    assert found.stdout == ""


def test_a_chain_that_is_not_there(tmp_path: Path) -> None:
    found = invoke("check", "--chain", str(tmp_path / "none.toml"))
    assert found.exit_code == 2
    assert "none.toml cannot be read: No such file or directory" in found.stderr


def test_check_tells_of_passwords_that_others_can_read(chain_file: Path) -> None:
    chain_file.write_text(HOP.format("alice:hunter2@"))
    for mode, told in ((0o644, True), (0o600, False)):
        chain_file.chmod(mode)
        found = invoke("check", "--chain", str(chain_file))
        assert found.exit_code == 0
        assert (
            f"note: {chain_file}: others can read the password in it: chmod 600 it" in found.stdout
        ) is told
        assert "hunter2" not in found.output
        assert "alice" not in found.output


def test_a_password_of_the_environment(chain_file: Path) -> None:
    chain_file.write_text(HOP.format("alice@") + 'password_env = "MY_PROXY_PASSWORD"')
    found = invoke("check", "--chain", str(chain_file))
    assert found.exit_code == 2
    assert f"{chain_file}:3: hop[0].password_env: there is no variable MY_PROXY_PASSWORD" in found.stderr
    found = invoke("check", "--chain", str(chain_file), env={"MY_PROXY_PASSWORD": "hunter2"})
    assert found.exit_code == 0
    assert "hunter2" not in found.output


def test_a_set_wins_over_an_option_and_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('[scrub]\nprofile = "open"')
    file = ("check", "--config", str(path))
    assert "profile open" in invoke(*file).output
    assert "profile strict" in invoke(*file, "--profile", "strict").output
    assert (
        "profile balanced" in invoke(*file, "--profile", "strict", "--set", "scrub.profile=balanced").output
    )


def test_the_example_loads(tmp_path: Path) -> None:
    path = tmp_path / "anongw.toml"
    path.write_text(invoke("check", "--example").output)
    assert load(path) == Config()
    assert invoke("check", "--config", str(path)).exit_code == 0


@pytest.mark.parametrize(("typed", "password"), [("hunter2\n", b"hunter2"), ("pass word", b"pass word")])
def test_passwd_prints_a_line_for_users(typed: str, password: bytes) -> None:
    found = invoke("passwd", "alice smith", stdin=typed)
    assert found.exit_code == 0
    config = load(None, [f"users.{found.stdout.strip()}"])
    assert verify(password, config.users["alice smith"])
    assert "hunter2" not in found.output


@pytest.mark.parametrize(
    ("name", "typed", "part"), [("a", "", "1 to 255"), ("a:b", "x", "no colon"), ("", "x", "1 to")]
)
def test_passwd_refuses_what_no_protocol_carries(name: str, typed: str, part: str) -> None:
    found = invoke("passwd", name, stdin=typed)
    assert found.exit_code == 2
    assert part in found.stderr
    assert found.stdout == ""


def test_serve_says_what_it_hides_and_ends_with_0() -> None:
    with start("serve", "--listen", "127.0.0.1:0") as process:
        assert process.stdout
        text = ""
        for line in process.stdout:
            text += line
            if line.startswith("chromium"):
                break
        port = re.search(r"listens on 127\.0\.0\.1:([0-9]+)", text)
        assert port
        socket.create_connection(("127.0.0.1", int(port[1])), 5).close()  # noqa: TID251 (an address, no name)
        for part in ("Hidden: ", "Not hidden: ", f"socks5h://127.0.0.1:{port[1]}", "dns.quad9.net"):
            assert part in text
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert errors.rstrip().endswith(
        "stopped: 0 flows, 0 B sent, 0 B received, 0 unknown header lines dropped; refused: none"
    )


def test_serve_says_what_its_chain_hides(chain_file: Path) -> None:
    with start("serve", "--listen", "127.0.0.1:0", "--chain", str(chain_file)) as process:
        assert process.stdout
        text = ""
        for line in process.stdout:
            text += line
            if line.startswith("chromium"):
                break
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 0
    for part in (
        "mine: socks5://192.0.2.1:1080 sees this machine's address",
        "Names: told to the exit of mine",
    ):
        assert part in text


@pytest.mark.parametrize("command", [["serve"], ["run", "true"]])
def test_a_port_in_use_is_one_line_and_1(command: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with start(command[0], "--listen", address, *command[1:]) as process:
            out, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert errors.splitlines() == [f"anongw: cannot listen on {address}: Address already in use"]
    assert out == ""


@pytest.mark.parametrize("dashes", [["--"], []])
def test_run_takes_nothing_from_its_program(dashes: list[str]) -> None:
    code = "import sys, os; print(sys.argv[1:], os.environ['HTTPS_PROXY']); sys.exit(5)"
    with start("run", *dashes, sys.executable, "-c", code, "--set", "x", "--help", "--", "-v") as process:
        out, errors = process.communicate(timeout=20)
    assert process.returncode == 5
    assert re.fullmatch(r"\['--set', 'x', '--help', '--', '-v'\] http://127\.0\.0\.1:[0-9]+\n", out)
    assert errors == ""


COUNTING = """
import os, signal, sys
count = 0
def counted(*_):
    global count
    count += 1
    os.write(1, b"interrupted\\n")  # print is not to be called while it is under way
signal.signal(signal.SIGINT, counted)
os.write(1, b"up\\n")
sys.stdin.readline()
os.write(1, b"count %d\\n" % count)
sys.exit(9)
"""
IN_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


def test_ctrl_c_in_a_terminal_reaches_the_program_once_and_ends_neither() -> None:
    program = [sys.executable, "-m", "anongw", "run", "--", sys.executable, "-c", COUNTING]
    with subprocess.Popen(
        [sys.executable, "-c", IN_A_TERMINAL, *program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        text = b""
        for seen, typed in ((b"up", b"\x03"), (b"interrupted", b"done\n"), (b"count", b"")):
            while seen not in text:
                line = process.stdout.readline()
                assert line, text
                text += line
            process.stdin.write(typed)
            process.stdin.flush()
        assert b"count 1" in text
        assert process.wait(20) == 9


def test_run_needs_neither_the_listener_nor_the_users_of_a_config(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(
        '[listen]\naddresses = ["0.0.0.0:1"]\nclients = ["192.0.2.0/24"]\n'
        f'[users]\na = "$scrypt$ln=14,r=8,p=1${"A" * 22}${"B" * 43}"'
    )
    # The gateway answers its program without a question: no 407, but a refusal of the private target.
    code = (
        "import os, socket, urllib.parse as u; a = u.urlsplit(os.environ['http_proxy']);"
        "s = socket.create_connection((a.hostname, a.port));"
        "s.sendall(b'CONNECT 127.0.0.1:9 HTTP/1.1\\r\\nHost: 127.0.0.1:9\\r\\n\\r\\n'); print(s.recv(99))"
    )
    with start("run", "--config", str(path), "--", sys.executable, "-c", code) as process:
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "HTTP/1.1 403" in out


def test_run_without_a_tcp_listener_starts_nothing(tmp_path: Path) -> None:
    """An empty proxy variable is none to some programs, which would go out past the gateway."""
    done = tmp_path / "done"
    with start("run", "--listen", f"unix:{tmp_path}/s", "--", "touch", str(done)) as process:
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "--listen 127.0.0.1:0" in errors
    assert not done.exists()


@pytest.mark.parametrize("option", ["--listen", "--set"])
def test_run_on_a_listener_of_ones_own_keeps_its_users(tmp_path: Path, option: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(f'[users]\na = "$scrypt$ln=14,r=8,p=1${"A" * 22}${"B" * 43}"')
    where = "127.0.0.2:0" if option == "--listen" else 'listen.addresses=["127.0.0.2:0"]'
    code = (
        "import os, socket, urllib.parse as u; a = u.urlsplit(os.environ['http_proxy']);"
        "s = socket.create_connection((a.hostname, a.port));"
        "s.sendall(b'CONNECT 192.0.2.1:9 HTTP/1.1\\r\\nHost: 192.0.2.1:9\\r\\n\\r\\n'); print(s.recv(99))"
    )
    with start("run", "--config", str(path), option, where, "--", sys.executable, "-c", code) as process:
        out, _ = process.communicate(timeout=20)
    assert "HTTP/1.1 407" in out
