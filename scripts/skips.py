"""Fails on a skipped test whose reason no line of a list allows:  skips.py LIST REPORT.xml

An expected failure counts as a skip, and a report without tests is a failure too.
"""

import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from xml.etree import ElementTree as ET


def unlisted(report: ET.Element, allowed: Sequence[str]) -> list[str]:
    """A line for each skip that is not allowed."""
    found = []
    for case in report.iter("testcase"):
        for skip in case.iter("skipped"):
            reason = skip.get("message", "")
            if not any(fnmatchcase(reason, pattern) for pattern in allowed):
                found.append(f"skipped: {case.get('classname')}.{case.get('name')}: {reason}")
    return found


if __name__ == "__main__":
    lines = [line.strip() for line in Path(sys.argv[1]).read_text().splitlines()]
    root = ET.parse(sys.argv[2]).getroot()  # noqa: S314 (pytest wrote it)
    wrong = unlisted(root, [line for line in lines if line and not line.startswith("#")])
    if next(root.iter("testcase"), None) is None:
        wrong.append(f"{sys.argv[2]} names no test")
    print("\n".join(wrong), end="\n" if wrong else "")
    sys.exit(bool(wrong))
