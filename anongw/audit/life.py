"""Scenarios of the gateway's own life: nobody uses it, clients leave, it reloads, stops, is killed."""

import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from anongw.audit import asking
from anongw.audit.scenario import IDLE, Scenario, known
from anongw.audit.scene import Scene
from anongw.audit.ways import Errand
from anongw.config import REFUSE, Spoken


def nobody(_: Scene) -> None:
    time.sleep(IDLE)


def life(main: Errand) -> Iterator[Scenario]:
    spoken = next((one for one in main.protocols if one != "http"), main.protocols[0])
    yield Scenario("a client is gone in mid-stream", partial(_gone, main, spoken))
    yield Scenario("reload in mid-stream", partial(_reload, main, spoken))
    yield Scenario("reload of a file with a fault in mid-stream", partial(_bad_reload, main, spoken))
    yield Scenario("reload to a config that refuses all", partial(_closing_reload, main, spoken))
    yield Scenario("stopped in mid-stream (SIGTERM)", partial(_ended, main, spoken, signal.SIGTERM))
    yield Scenario("killed in mid-stream (SIGKILL)", partial(_ended, main, spoken, signal.SIGKILL))


def _gone(main: Errand, spoken: Spoken, scene: Scene) -> None:
    with scene.tunnel(main, spoken) as line:
        line.say(b"half a word")
    for one in main.protocols:
        with scene.connected(main) as line:
            host = scene.name(main)
            scene.expects(main, host, main.port)
            line.say(asking.get(host, main.port, scene.login(main), {}) if one == "http" else b"\x05\x01")


def _reload(main: Errand, spoken: Spoken, scene: Scene) -> None:
    with scene.tunnel(main, spoken) as line:
        scene.world.program.signal(signal.SIGHUP)
        scene.world.status()
        if line.granted:
            scene.claim("served", line.pings(), "a tunnel does not outlive a reload")
        scene.ask(main, spoken, expect=known(scene.config, main, spoken))


def _bad_reload(main: Errand, spoken: Spoken, scene: Scene) -> None:
    good = scene.world.config_file.read_text()
    with scene.tunnel(main, spoken) as line:
        scene.world.write(good + "\n[no.such.section]\nkey = 1\n")
        try:
            scene.world.program.signal(signal.SIGHUP)
            scene.world.status()
            if line.granted:
                scene.claim("served", line.pings(), "a tunnel does not outlive a reload that failed")
            scene.ask(main, spoken, expect=known(scene.config, main, spoken))
        finally:
            scene.world.write(good)


def _closing_reload(main: Errand, spoken: Spoken, scene: Scene) -> None:
    """Only where the control socket says when a reload is done."""
    good = scene.world.config_file.read_text()
    lines = [line for line in good.splitlines() if not line.startswith(('"route"', "route"))]
    with scene.tunnel(main, spoken):
        scene.world.write("\n".join([*lines, f'route = [{{to = "{REFUSE}"}}]', ""]))
        try:
            if b'"ok":true' not in scene.world.control({"command": "reload"}).replace(b" ", b""):
                scene.leaves_out("without [control] socket nobody can tell when a reload is done")
                return
            for one in main.protocols:
                scene.ask(main, one, expect=False)
        finally:
            scene.world.write(good)
            scene.world.control({"command": "reload"})


def _ended(main: Errand, spoken: Spoken, number: signal.Signals, scene: Scene) -> None:
    world = scene.world
    with scene.tunnel(main, spoken):
        world.program.signal(number)
        world.program.wait()
    world.passing()
    with suppress(OSError):  # nobody listens, as it should be
        scene.ask(main, spoken, expect=False)
    time.sleep(IDLE)
    for packet in world.passing():
        if packet.opens or packet.payload:
            scene.claim("ended", holds=False, says=f"after its end something is sent to {packet.target}")
    world.restart()
