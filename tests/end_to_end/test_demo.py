"""The demo is the first thing a new user sees: it must end well, and say so with numbers."""

import os
import subprocess
import sys


def test_demo_ends_with_findings_that_match_the_truth(chest_ct):
    done = subprocess.run(
        [sys.executable, "-m", "isocenter", "demo", "--once", "--dicom-port", "0", "--http-port", "0"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=os.environ,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for said in (
        "120 of 120 images stored",
        "from last image to stored result",
        "LAA-950",
        "SEG: 2.25.",
        "SR: 2.25.",
    ):
        assert said in done.stdout
    assert "NOT WITHIN TOLERANCE" not in done.stdout
