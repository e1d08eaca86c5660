"""The two records: which of them, its lines for each kind of request, its order."""

import pytest

from anongw.web.persona import BROWSER, TOOL, Persona, choose, lines

CHROME_PAGE = (
    b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    b"application/signed-exchange;v=b3;q=0.7"
)
CHROME_IMAGE = b"image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
PAGE = b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
IMAGE = b"image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
STYLE = b"text/css,*/*;q=0.1"


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        (b"Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0", BROWSER),
        (b"Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 Version/17.4 Safari/605.1.15", BROWSER),
        (b"curl/8.5.0", TOOL),
        (b"git/2.39.5", TOOL),
        (b"Opera/9.80 (like Mozilla/5.0)", TOOL),
        (b"mozilla/5.0", TOOL),
        (b"", TOOL),
        (None, TOOL),
    ],
)
def test_the_persona_is_chosen_by_how_the_client_begins(user_agent: bytes | None, expected: Persona) -> None:
    assert choose(user_agent) is expected


@pytest.mark.parametrize(
    ("accept", "sent", "priority"),
    [
        (PAGE, PAGE, b"u=0, i"),
        (CHROME_PAGE, PAGE, b"u=0, i"),
        (IMAGE, IMAGE, b"u=5, i"),
        (CHROME_IMAGE, IMAGE, b"u=5, i"),
        (STYLE, STYLE, b"u=2"),
        (STYLE.upper(), STYLE, b"u=2"),
        (b"*/*", b"*/*", None),
        (None, b"*/*", None),
        (b"", b"*/*", None),
        # What the request means: no class, so the client's own value stays.
        (b"application/json", None, None),
        (b"application/json, text/plain, */*", None, None),
        (b"text/html, */*; q=0.01", None, None),
        (b"text/event-stream", None, None),
        (b"image/png", None, None),
        (b"text/css", None, None),
    ],
)
def test_a_browsers_accept_is_the_records_of_its_class(
    accept: bytes | None, sent: bytes | None, priority: bytes | None
) -> None:
    record = lines(BROWSER, accept, None)
    assert (record.get(b"accept"), record.get(b"priority")) == (sent, priority)
    assert (b"upgrade-insecure-requests" in record) == (sent == PAGE)
    assert record[b"accept-language"] == b"en-US,en;q=0.9"
    assert record[b"user-agent"] == BROWSER.user_agent


@pytest.mark.parametrize("accept", [PAGE, CHROME_IMAGE, STYLE, b"application/json"])
def test_a_tools_accept_is_its_callers(accept: bytes) -> None:
    assert lines(TOOL, accept, None) == {b"user-agent": TOOL.user_agent}


def test_a_tool_without_accept_says_what_curl_says() -> None:
    assert lines(TOOL, None, None) == {b"user-agent": TOOL.user_agent, b"accept": b"*/*"}


@pytest.mark.parametrize("persona", [BROWSER, TOOL])
@pytest.mark.parametrize(
    ("offer", "sent"),
    [(b"gzip, deflate, br, zstd", b"gzip, deflate"), (b"gzip", None), (b"identity", None), (None, None)],
)
def test_a_coding_goes_out_only_if_the_client_reads_it(
    persona: Persona, offer: bytes | None, sent: bytes | None
) -> None:
    assert lines(persona, b"*/*", offer).get(b"accept-encoding") == sent


def test_a_value_too_long_to_remember_is_treated_no_differently() -> None:
    accept, offer = CHROME_PAGE + b"," * 300, b"gzip, deflate" + b"," * 300
    assert lines(BROWSER, accept, offer) == lines(BROWSER, PAGE, b"gzip, deflate")


@pytest.mark.parametrize("persona", [BROWSER, TOOL])
def test_a_record_says_who_it_is_and_places_every_line_of_its_own(persona: Persona) -> None:
    assert persona.user_agent
    assert choose(persona.user_agent) is persona
    assert len(persona.names) == len(persona.order)
    records = (persona.always, persona.page, persona.image, persona.style, persona.anything)
    assert all(record.keys() <= persona.names.keys() for record in records)
    assert {
        b"host",
        b"connection",
        b"upgrade",
        b"content-length",
        b"transfer-encoding",
    } < persona.names.keys()
