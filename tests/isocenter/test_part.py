"""What long-running commands share."""

import subprocess
import sys

HANGS = """
import ctypes
from isocenter.part import ended_after

with ended_after(60):
    print("in time", flush=True)
with ended_after(0.5):
    ctypes.PyDLL(None).pause()  # in C, with the interpreter's lock: no other thread can run
"""


def test_a_body_that_hangs_with_all_threads_ends_its_process():
    ended = subprocess.run(
        [sys.executable, "-c", HANGS], check=False, capture_output=True, text=True, timeout=60
    )
    assert ended.stdout == "in time\n"
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr
    assert "line 8" in ended.stderr
