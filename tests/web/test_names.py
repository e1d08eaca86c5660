"""Names: one meaning for every spelling, refusal of what is no name, bounds on what is remembered."""

import pytest

from anongw.errors import Reason, Refused
from anongw.web.names import Fate, Known, Names, canonical, folded


def table() -> Names:
    return Names(
        {
            b"Cookie": (Fate.BALANCED, "state"),
            b"X-Real-IP": (Fate.DROP, "address"),
            b"SOAPAction": (Fate.BALANCED, "action"),
        },
        {b"x-wap-": (Fate.DROP, "carrier"), b"tus-": (Fate.BALANCED, "upload")},
        (b"client-ip",),
        Reason.MALFORMED,
    )


@pytest.mark.parametrize(
    ("name", "key", "fate", "sent", "why"),
    [
        (b"Cookie", b"cookie", Fate.BALANCED, b"Cookie", "state"),
        (b"cOOKIE", b"cookie", Fate.BALANCED, b"Cookie", "state"),
        (b"soapaction", b"soapaction", Fate.BALANCED, b"SOAPAction", "action"),
        (b"x-real-ip", b"x-real-ip", Fate.DROP, b"X-Real-IP", "address"),
        (b"X-WAP-Profile", b"x-wap-profile", Fate.DROP, b"X-Wap-Profile", "carrier"),
        (b"TUS-RESUMABLE", b"tus-resumable", Fate.BALANCED, b"Tus-Resumable", "upload"),
        (b"x-made-up", b"x-made-up", Fate.UNKNOWN, b"X-Made-Up", "no list names it"),
        (b"a-client-ip", b"a-client-ip", Fate.DROP, b"A-Client-Ip", "its name speaks of an address"),
        # Disguises: what a server reads as a name on the lists, in another dress.
        (b"X_Real_IP", b"x_real_ip", Fate.DROP, b"X_real_ip", "a server may take it for X-Real-IP,"),
        (b"X.Real.IP", b"x.real.ip", Fate.DROP, b"X.real.ip", "a server may take it for X-Real-IP,"),
        (b"x_wap_a", b"x_wap_a", Fate.DROP, b"X_wap_a", "a server may take it for X-Wap-A,"),
        (b"Tus_Version", b"tus_version", Fate.DROP, b"Tus_version", "a server may take it for Tus-Version,"),
        (b"a_client_ip", b"a_client_ip", Fate.DROP, b"A_client_ip", "a server may take it for A-Client-Ip,"),
        # No disguise of anything.
        (b"my_header", b"my_header", Fate.UNKNOWN, b"My_header", "no list names it"),
    ],
)
def test_a_spelling_is_understood_and_stays_so(
    name: bytes, key: bytes, fate: Fate, sent: bytes, why: str
) -> None:
    names = table()
    assert names[name] == names[name]
    assert names[name] == Known(key, fate, sent, names[name].why)
    assert names[name].why.startswith(why)


@pytest.mark.parametrize(
    "name", [b"", b"a b", b"a ", b" a", b"a\t", b"a:", b"a\r\n", b"\xe4", b"a\0", b'"a"']
)
def test_what_is_no_token_is_refused(name: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        table()[name]
    assert refusal.value.reason is Reason.MALFORMED


def test_what_is_remembered_is_bounded() -> None:
    names = table()
    for number in range(2 * Names.SPELLINGS_MOST):
        assert names[b"X-Invented-%d" % number].fate is Fate.UNKNOWN
    assert len(names) == Names.SPELLINGS_MOST
    assert names[b"x-real-ip"].fate is Fate.DROP


def test_a_long_name_is_understood_and_not_remembered() -> None:
    names = table()
    before = len(names)
    assert names[b"x-wap-" + b"a" * Names.NAME_MOST].fate is Fate.DROP
    assert len(names) == before


def test_folded_and_canonical() -> None:
    assert folded(b"a_b.c~d9") == b"a-b-c-d9"
    assert canonical(b"X-MY-header") == b"X-My-Header"
