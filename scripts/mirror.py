"""Fails on a module without its test file, and on a test file without its module.

`anongw/wire/socks5.py` belongs to `tests/wire/test_socks5.py`. Tests of the whole program (`tests/whole/`)
and what tests share (`tests/support/`) mirror nothing.
"""

import sys
from pathlib import Path

_NO_MODULES = {"__init__.py", "__main__.py"}
_NO_MIRRORS = {"whole", "support"}


def faults(root: Path) -> list[str]:
    """What is missing, a sentence each."""
    modules = {
        path.relative_to(root / "anongw")
        for path in (root / "anongw").rglob("*.py")
        if path.name not in _NO_MODULES
    }
    tests = {
        path.relative_to(root / "tests")
        for path in (root / "tests").rglob("test_*.py")
        if path.relative_to(root / "tests").parts[0] not in _NO_MIRRORS
    }
    mirrored = {module: module.with_name(f"test_{module.name}") for module in modules}
    untested = [
        f"anongw/{module} has no tests/{test}" for module, test in mirrored.items() if test not in tests
    ]
    left_over = [f"tests/{test} tests no module" for test in tests - set(mirrored.values())]
    return sorted(untested + left_over)


if __name__ == "__main__":
    found = faults(Path(__file__).resolve().parent.parent)
    print("\n".join(found or ["every module has its test"]))
    sys.exit(bool(found))
