"""The limit on open files is raised as far as may be. In a process of its own: it would stay raised."""

import subprocess
import sys

import pytest

_CODE = """
import resource
from anongw.net.descriptors import raise_limit
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("soft", "hard"), [(64, 256), (256, 256)])
def test_raised_to_the_hard_limit(soft: int, hard: int) -> None:
    code = _CODE.format(soft=soft, hard=hard)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    assert done.stdout.split() == [str(hard).encode()] * 3
