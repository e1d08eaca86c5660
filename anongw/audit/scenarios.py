"""All scenarios of a config, in the order in which they are played."""

from anongw.audit.life import life, nobody
from anongw.audit.mapping import Mapped
from anongw.audit.scenario import Scenario, main_errand
from anongw.audit.troubles import hops, names, origins, strangers
from anongw.audit.ways import Errand
from anongw.audit.wishes import listeners, plain, private, protocols, routes


def scenarios(mapped: Mapped, errands: list[Errand]) -> list[Scenario]:
    """Those last after which a gateway is another one."""
    main = main_errand(errands)
    return [
        Scenario("nobody uses it", nobody),
        *protocols(mapped.config, main),
        *routes(mapped.config, errands, main),
        *listeners(mapped.config, main),
        *plain(main),
        *private(mapped.config, main),
        *names(mapped, main),
        *origins(main),
        *hops(mapped, errands),
        *strangers(mapped, errands),
        *life(main),
    ]
