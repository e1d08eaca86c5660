"""Names: one meaning for every spelling, refusal of what is no name, bounds on what is remembered."""

import pytest

from anongw.errors import Reason, Refused
from anongw.web.names import Fate, Names, canonical, folded


def table() -> Names:
    return Names(
        {b"Cookie": Fate.BALANCED, b"X-Real-IP": Fate.DROP, b"SOAPAction": Fate.BALANCED},
        {b"x-wap-": Fate.DROP, b"tus-": Fate.BALANCED},
        (b"client-ip",),
        Reason.MALFORMED,
    )


@pytest.mark.parametrize(
    ("name", "key", "fate", "sent"),
    [
        (b"Cookie", b"cookie", Fate.BALANCED, b"Cookie"),
        (b"cOOKIE", b"cookie", Fate.BALANCED, b"Cookie"),
        (b"soapaction", b"soapaction", Fate.BALANCED, b"SOAPAction"),
        (b"x-real-ip", b"x-real-ip", Fate.DROP, b"X-Real-IP"),
        (b"X-WAP-Profile", b"x-wap-profile", Fate.DROP, b"X-Wap-Profile"),
        (b"TUS-RESUMABLE", b"tus-resumable", Fate.BALANCED, b"Tus-Resumable"),
        (b"x-made-up", b"x-made-up", Fate.UNKNOWN, b"X-Made-Up"),
        (b"some-client-ip-of-mine", b"some-client-ip-of-mine", Fate.DROP, b"Some-Client-Ip-Of-Mine"),
        # Disguises: what a server reads as a name on the lists, in another dress.
        (b"X_Real_IP", b"x_real_ip", Fate.DROP, b"X_real_ip"),
        (b"X.Real.IP", b"x.real.ip", Fate.DROP, b"X.real.ip"),
        (b"x_wap_profile", b"x_wap_profile", Fate.DROP, b"X_wap_profile"),
        (b"Tus_Resumable", b"tus_resumable", Fate.DROP, b"Tus_resumable"),
        (b"my_client_ip", b"my_client_ip", Fate.DROP, b"My_client_ip"),
        # No disguise of anything.
        (b"my_header", b"my_header", Fate.UNKNOWN, b"My_header"),
    ],
)
def test_a_spelling_is_understood_and_stays_so(name: bytes, key: bytes, fate: Fate, sent: bytes) -> None:
    names = table()
    assert names[name] == names[name] == (key, fate, sent)


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
