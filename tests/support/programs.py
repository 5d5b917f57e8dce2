"""Programs that some tests compare with."""

import os
import shutil

import pytest


def needs(program: str) -> pytest.MarkDecorator:
    """Skip, and say so, where `program` is not installed; in CI the test runs and fails for it."""
    absent = shutil.which(program) is None and not os.environ.get("CI")
    return pytest.mark.skipif(absent, reason=f"{program} is not installed: run `make test` as root")
