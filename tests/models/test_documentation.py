"""docs/models.md is true: its walk-through works at the first try, its reference is that of the code."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from models.reference import TABLES, reference
from models.schema.base import Table

pytestmark = pytest.mark.xdist_group("walk-through")

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")


def test_reference_is_that_of_the_code():
    assert TEXT.endswith("\n\n" + reference()), "python -m models.reference makes the end of docs/models.md"


def test_every_table_is_described():
    def below(table: type[Table]) -> set[type[Table]]:
        return {each for kind in table.__subclasses__() for each in {kind, *below(kind)}}

    assert {each for each in below(Table) if each.__module__.startswith("models.")} == {t for _, t in TABLES}


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> list[str]:
    """What each step of the walk-through printed."""
    folder = tmp_path_factory.mktemp("walk")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "ISOCENTER_LOG_LEVEL": "error",
    }
    printed = []
    blocks = re.findall(r"<!-- (file|run)(?:: (\S+))? -->\n```\w+\n(.*?)```", TEXT, re.DOTALL)
    for kind, name, code in blocks:
        model = (folder / name).parent / "model.onnx"
        digest = hashlib.sha256(model.read_bytes()).hexdigest() if model.exists() else ""
        if kind == "file":
            (folder / name).write_text(code.replace("DIGEST", digest))
        if name.endswith(".toml"):
            continue
        command = ["sh", "-e", "-c", code] if kind == "run" else [sys.executable, name]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    return printed


def test_walk_through_leads_to_a_finding(said):
    made, _, tried, installed, *_ = said
    assert "right on 100% of the training pictures" in made
    assert "washed-out 1.0.0: ready to use" in tried
    assert tried.count(": results") == 2
    said_of_films = re.findall(r"^Low contrast radiograph .*(present|absent)", tried, re.MULTILINE)
    assert sorted(said_of_films) == ["absent", "present"]
    assert "washed-out 1.0.0: added and enabled" in installed
    assert "2 work items would be scheduled" in installed


def test_walk_through_of_several_series_leads_to_a_change(said):
    *_, tried = said
    assert "bright-in-flair 1.0.0: ready to use" in tried
    assert tried.count(": results") == 2
    volumes = [float(value) for value in re.findall(r"Volume ([0-9.]+) ml", tried)]
    before, after = sorted(volumes)
    (change,) = (float(value) for value in re.findall(r"Change of volume ([0-9.]+) ml", tried))
    assert change == pytest.approx(after - before, abs=0.02)
    # Balls of 8 and 12 mm.
    assert before == pytest.approx(2.1, rel=0.15)
    assert after == pytest.approx(7.2, rel=0.15)
