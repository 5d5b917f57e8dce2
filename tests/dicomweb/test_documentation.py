"""docs/dicomweb.md says what the routes do, and its recipes work."""

import io
import os
import re
import subprocess
from pathlib import Path

import pydicom
import pytest

from dicomweb.forms import frame_type
from dicomweb.store_response import CANNOT_UNDERSTAND, FAILURE_REASONS, OTHER_RESOURCE
from storage.pixels.encode import ENCODERS, LOSSY
from storage.transfer_syntax import known
from tests.dicomweb.builders import part10
from tests.support.programs import needs


@pytest.fixture(scope="module")
def page() -> str:
    return (Path(__file__).parents[2] / "docs" / "dicomweb.md").read_text(encoding="utf-8")


def block(page: str, heading: str, language: str) -> str:
    section = page.partition(f"### {heading}\n")[2].partition("\n### ")[0]
    return section.partition(f"```{language}\n")[2].partition("```")[0]


def test_every_resource_is_listed_and_no_other(page, app):
    listed = re.findall(r"^\| `([A-Z]+ /\S*)` \|", page, re.MULTILINE)
    routes = {
        f"{method.upper()} {path.removeprefix('/dicom-web')}"
        for path, operations in app.openapi()["paths"].items()
        if path.startswith("/dicom-web")
        for method in operations
    }
    assert len(listed) == len(set(listed))
    assert set(listed) == routes


def test_every_encoding_is_listed_with_its_media_type(page):
    rows = re.findall(
        r"^\| `(1\.2\.840[0-9.]+)` \| [^|]+ \| `([a-z0-9/-]+)` \| (yes|no) \|", page, re.MULTILINE
    )
    assert {uid: media for uid, media, _ in rows} == {uid: frame_type(uid) for uid in ENCODERS}
    assert {uid for uid, _, objects in rows if objects == "no"} == LOSSY
    assert all(known(uid) for uid, _, _ in rows)


def test_every_failure_reason_is_listed(page):
    listed = {int(reason, 16) for reason in re.findall(r"^\| `([0-9A-F]{4})` \|", page, re.MULTILINE)}
    assert listed == {*FAILURE_REASONS.values(), CANNOT_UNDERSTAND, OTHER_RESOURCE}


@needs("curl")
def test_the_curl_recipe_works(page, web, tmp_path):
    (tmp_path / "image.dcm").write_bytes(part10())
    store, *others = (line for line in block(page, "curl", "sh").splitlines() if "--data-binary" in line)
    rest = [line for line in block(page, "curl", "sh").splitlines() if line != store]
    assert not others
    assert len(rest) >= 5
    environment = {**os.environ, "BASE": str(web.base_url).rstrip("/"), "STUDY": "1.2"}
    for line in (store, *rest):
        done = subprocess.run(
            ["sh", "-c", line], cwd=tmp_path, env=environment, capture_output=True, check=False
        )
        assert done.returncode == 0, (line, done.stderr)
    assert (tmp_path / "study.zip").read_bytes()[:2] == b"PK"
    assert (tmp_path / "study.jpg").read_bytes()[:2] == b"\xff\xd8"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_python_recipe_works(page, web):
    dataset = pydicom.dcmread(io.BytesIO(part10()))
    names = {"BASE": str(web.base_url).rstrip("/"), "dataset": dataset}
    exec(block(page, "dicomweb-client (Python)", "python"), names)
    assert names["study"]["0020000D"]["Value"] == ["1.2"]
    assert names["instance"] == dataset
    assert names["frame"] == dataset.PixelData
