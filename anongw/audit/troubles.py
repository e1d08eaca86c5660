"""Scenarios of what goes wrong outside: resolvers and their answers, targets, hops, strangers."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Final

from anongw.audit.mapping import ORIGIN, ORIGIN_6, Mapped
from anongw.audit.scenario import Scenario, main_errand
from anongw.audit.scene import Scene
from anongw.audit.ways import Errand
from anongw.audit.world import CLOSED
from anongw.lab.hop_script import Cut, Fault, Manner, Phase
from anongw.lab.origin import GARBAGE
from anongw.lab.resolver import Mood
from anongw.lab.server import Place
from anongw.resolve.server import Scheme

_BRIEF: Final = 0.3  # seconds until a client that waits for nothing leaves


def names(mapped: Mapped, main: Errand) -> Iterator[Scenario]:
    lookups: dict[str, tuple[str, ...]] = {
        "a name with IPv6 addresses only": (ORIGIN_6,),
        "a name with IPv4 addresses only": (ORIGIN,),
        "a name that does not exist": (),
        "rebinding: a name of this machine's": ("127.0.0.1", "::1"),
        "rebinding: a name of a private network's": ("10.1.2.3", "192.168.1.1", "fd00::1"),
        "rebinding: a public address beside a private one": (ORIGIN, "169.254.169.254"),
    }
    for name, addresses in lookups.items():
        yield Scenario(name, partial(_looked_up, main, addresses))
    for mood in (Mood.SILENT, Mood.GARBAGE, Mood.SERVFAIL):
        yield Scenario(f"resolvers: {mood.value}", partial(_moody, main, mood))
    if mapped.resolvers:
        yield Scenario("resolvers: they are down", partial(_no_resolver, main))


def _looked_up(main: Errand, addresses: tuple[str, ...], scene: Scene) -> None:
    for spoken in main.protocols:
        scene.ask(main, spoken, addresses=addresses)


def _moody(main: Errand, mood: Mood, scene: Scene) -> None:
    scene.world.book.mood = mood
    try:
        for spoken in main.protocols[:2]:
            scene.ask(main, spoken)
    finally:
        scene.world.book.mood = Mood.WELL


def _no_resolver(main: Errand, scene: Scene) -> None:
    scene.world.book.mood = Mood.SILENT  # by UDP, where nothing is closed
    with ExitStack() as stack:
        stack.callback(setattr, scene.world.book, "mood", Mood.WELL)
        for server in scene.world.resolvers.values():
            stack.enter_context(server.away())
        for spoken in main.protocols[:2]:
            scene.ask(main, spoken)


# Origins, hops and strangers


def origins(main: Errand) -> Iterator[Scenario]:
    yield Scenario("the target refuses", partial(_closed, main))
    if "http" in main.protocols:
        yield Scenario("the target hangs", partial(_leaves, main))
        yield Scenario("the target answers garbage", partial(_unanswered, main, "/garbage"))
        yield Scenario("the target dies in mid-stream", partial(_unanswered, main, "/die"))


def _closed(main: Errand, scene: Scene) -> None:
    for spoken in main.protocols:
        scene.ask(main, spoken, port=CLOSED)


def _unanswered(main: Errand, path: str, scene: Scene) -> None:
    scene.ask(main, "http", path=path)


def _leaves(main: Errand, scene: Scene) -> None:
    with scene.connected(main) as line:
        line.sock.settimeout(_BRIEF)
        scene.over(line, main, "http", path="/hang")


def hops(mapped: Mapped, errands: list[Errand]) -> Iterator[Scenario]:
    for name, positions in mapped.hops.items():
        errand = _by(errands, name)
        if errand is None:
            continue
        of = f" of {name}" if len(mapped.hops) > 1 else ""
        for number, members in enumerate(positions):
            places = tuple(one.place for one in members if one is not None)
            who = f"hop {number + 1}{of}"
            alone = len(places) == len(members)
            yield Scenario(f"{who} refuses connections", partial(_away, errand, places, alone=alone))
            for word, fault in _FAULTS.items():
                yield Scenario(f"{who} {word}", partial(_faulty, errand, places, fault, alone=alone))
            yield Scenario(f"{who} dies in mid-stream", partial(_cut, errand, places))
            if len(members) > 1 and places:
                yield Scenario(f"the first of {who} refuses", partial(_away, errand, places[:1], alone=False))


_FAULTS: Final = {
    "hangs before anything": Fault(Phase.ACCEPT, Manner.HANG),
    "hangs at the request": Fault(Phase.REPLY, Manner.HANG),
    "answers garbage": Fault(Phase.ACCEPT, says=GARBAGE),
    "answers half": Fault(Phase.REPLY, Manner.HALF),
    "resets": Fault(Phase.REPLY, Manner.RESET),
}


def _by(errands: list[Errand], chain: str) -> Errand | None:
    """Somebody who goes through a chain, by a name if there is one."""
    found = [one for one in errands if one.to == chain and one.allowed]
    return next((one for one in found if not one.literal), found[0] if found else None)


def _away(errand: Errand, places: tuple[Place, ...], scene: Scene, *, alone: bool) -> None:
    with ExitStack() as stack:
        for place in places:
            stack.enter_context(scene.world.hops[place].away())
        for spoken in errand.protocols:
            scene.ask(errand, spoken, expect=False if alone else None)


def _faulty(errand: Errand, places: tuple[Place, ...], fault: Fault, scene: Scene, *, alone: bool) -> None:
    hops = [scene.world.hops[place] for place in places]
    for hop in hops:
        hop.fault = fault
    try:
        # What hangs costs its time: one protocol is enough for it.
        for spoken in errand.protocols[: 1 if fault.manner is Manner.HANG else None]:
            scene.ask(errand, spoken, expect=False if alone else None)
    finally:
        for hop in hops:
            hop.fault = None


def _cut(errand: Errand, places: tuple[Place, ...], scene: Scene) -> None:
    hops = [scene.world.hops[place] for place in places]
    for hop in hops:
        hop.cut = Cut(2, Manner.RESET)
    try:
        for spoken in errand.protocols:
            scene.ask(errand, spoken)
    finally:
        for hop in hops:
            hop.cut = None


def strangers(mapped: Mapped, errands: list[Errand]) -> Iterator[Scenario]:
    for name, positions in mapped.hops.items():
        for number, members in enumerate(positions):
            places = tuple(one.place for one in members if one is not None and one.scheme == "https")
            errand = _by(errands, name)
            if places and errand is not None:
                who = f"hop {number + 1} of {name}"
                yield Scenario(f"a stranger's certificate at {who}", partial(_strange_hop, errand, places))
    if any(server.scheme.encrypted for server in mapped.resolvers.values()):
        yield Scenario(
            "a stranger's certificate at the resolvers", partial(_strange_resolvers, main_errand(errands))
        )


def _strange_hop(errand: Errand, places: tuple[Place, ...], scene: Scene) -> None:
    hops = [scene.world.hops[place] for place in places]
    before = {hop: len(hop.seen) for hop in hops}
    for hop in hops:
        hop.tls = scene.world.contexts[hop][1]
    try:
        for spoken in errand.protocols:
            scene.ask(errand, spoken)
    finally:
        for hop in hops:
            hop.tls = scene.world.contexts[hop][0]
    for hop in hops:
        for seen in hop.seen[before[hop] :]:
            scene.claim("strangers", not seen.host, f"a stranger at {hop.place[0]} was asked for {seen.host}")


def _strange_resolvers(errand: Errand, scene: Scene) -> None:
    places = {
        (str(server.address), server.port)
        for server in scene.world.mapped.resolvers.values()
        if server.scheme in (Scheme.TLS, Scheme.HTTPS)
    }
    with ExitStack() as stack:
        for server in scene.world.resolvers.values():
            if server in scene.world.contexts:
                # Their kept connections end, so that new ones meet the stranger.
                with server.away():
                    server.tls = scene.world.contexts[server][1]
                stack.callback(setattr, server, "tls", scene.world.contexts[server][0])
        for spoken in errand.protocols[:2]:
            scene.ask(errand, spoken)
    for question in scene.questions():
        scene.claim("strangers", question.server not in places, f"a stranger was asked for {question.name}")
    for server in scene.world.resolvers.values():
        if server in scene.world.contexts:
            with server.away():
                pass
