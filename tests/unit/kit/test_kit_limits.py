"""The limit of open files, in a process of its own."""

import subprocess
import sys

PROGRAM = """
import resource
from keelwatch.kit.limits import raise_open_files
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512))
print(raise_open_files(), raise_open_files(), resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_the_limit_is_raised_as_far_as_it_goes():
    found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert found.stdout == "512 512 (512, 512)\n"
