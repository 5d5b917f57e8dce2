"""What long-running commands share."""

import subprocess
import sys

HANGS = """
import ctypes
from isocenter.part import TimeLimit

limit = TimeLimit(0.5)
with limit():
    print("in time", flush=True)
with limit():
    with limit():
        pass  # another thread's, say: the clock goes on for those that are left
    ctypes.PyDLL(None).pause()  # in C, with the interpreter's lock: no other thread can run
"""


def test_a_body_that_hangs_with_all_threads_ends_its_process():
    ended = subprocess.run(
        [sys.executable, "-c", HANGS], check=False, capture_output=True, text=True, timeout=60
    )
    assert ended.stdout == "in time\n"
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr
    assert "line 11" in ended.stderr
