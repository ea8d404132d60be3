"""Blocks that were large once do not stay resident."""

import subprocess
import sys

PROGRAM = """
import re, sys
from pathlib import Path
from keelwatch.kit.memory import LARGE, give_back_large_blocks
if sys.argv[1] == "on":
    give_back_large_blocks()
def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10
size = 16 << 20
for _ in range(4):  # glibc learns from blocks that are freed
    block = b"x" * size
    pin = b"y" * (LARGE // 2)
    del block
before = resident()
blocks = [b"x" * size for _ in range(4)]
pins = [b"y" * (LARGE // 2) for _ in range(4)]
del blocks
print((resident() - before) // size)
"""


def kept(mode: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_large_blocks_are_given_back() -> None:
    assert kept("on") == 0
    assert kept("off") >= 1  # else glibc has changed, and this setting is not needed any more
