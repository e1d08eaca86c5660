"""The words that programs go by, and their order."""

from anongw.knowledge.table import Fact, Learns, Party


def test_more_is_more() -> None:
    assert Learns.NO.rank < Learns.PLAIN.rank < Learns.YES.rank


def test_the_words_of_the_json_do_not_change() -> None:
    assert [one.value for one in Learns] == ["no", "plain", "yes"]
    assert [one.value for one in Fact] == [
        *("client_address", "gateway_address", "destination_name", "destination_address"),
        *("path_and_headers", "destination_login", "hop_login", "timing"),
    ]
    assert [one.value for one in Party] == [
        *("client_line", "local_network", "resolver", "hop", "exit_resolver", "exit_line", "destination"),
        *("log", "control_socket"),
    ]
