"""`isocenter reviews export`: the training set of an installation."""

import json
from pathlib import Path

from tests.support.system import isocenter


def test_the_key_is_made_once_and_is_its_owners_alone(tmp_path: Path):
    environment = {"ISOCENTER_DATA": str(tmp_path / "data"), "ISOCENTER_LOG_LEVEL": "error"}
    done = isocenter("reviews", "export", str(tmp_path / "set"), environment=environment)
    assert (done.returncode, done.stdout) == (0, "0 cases, 0 images, 0 findings\n"), done.stderr
    assert json.loads((tmp_path / "set" / "manifest.json").read_text())["files"] == []
    key = tmp_path / "data" / "pseudonyms.key"
    assert key.stat().st_mode & 0o777 == 0o600
    before = key.read_text()
    again = isocenter("reviews", "export", str(tmp_path / "set"), environment=environment)
    assert again.returncode == 1
    assert "is not empty" in again.stderr
    assert key.read_text() == before
