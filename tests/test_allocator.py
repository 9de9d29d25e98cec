"""The allocator's setting, seen by the page faults of a program that frees and allocates again."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from jsr import allocator
if sys.argv[1] == "kept":
    allocator.keep_pages()
bytearray(64 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    bytearray(b"x") * (64 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is a setting of the GNU C library")
def test_freed_memory_is_used_again():
    kept, given_back = (
        int(subprocess.run([sys.executable, "-c", PROGRAM, word], capture_output=True, check=True).stdout)
        for word in ("kept", "not"))
    assert kept < given_back / 4
