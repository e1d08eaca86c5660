"""The gateway's own life has its scenarios; test_audit_lab.py plays them."""

from anongw.audit.canaries import ZONE
from anongw.audit.life import life
from anongw.audit.ways import Errand


def test_it_reloads_stops_and_is_killed_in_mid_stream() -> None:
    names = [one.name for one in life(Errand(0, "direct", ZONE, 80, ("http", "connect"), ""))]
    assert "reload in mid-stream" in names
    assert names[-2:] == ["stopped in mid-stream (SIGTERM)", "killed in mid-stream (SIGKILL)"]
