"""`isocenter models`: a model is added, tried, run on what is stored, stopped and taken away."""

import json
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.inference.analyses import ct_series, part10
from tests.inference.packages import dark_package
from tests.support.system import isocenter


@pytest.fixture
def series(tmp_path: Path) -> Path:
    folder = tmp_path / "series"
    folder.mkdir()
    for number, image in enumerate(ct_series(4)):
        (folder / f"{number}.dcm").write_bytes(part10(image))
    return folder


@pytest.fixture
def models(tmp_path: Path):
    """Calls `isocenter models …`: exit code and standard output, or the error."""
    environment = {"ISOCENTER_DATA": str(tmp_path / "data"), "ISOCENTER_LOG_LEVEL": "error"}

    def call(*arguments: str, command: str = "models") -> tuple[int, str]:
        done = isocenter(command, *arguments, environment=environment)
        return done.returncode, done.stdout or done.stderr

    return call


def listed(models) -> dict[str, bool]:
    _, text = models("list", "--json")
    return {f"{each['name']} {each['version']}": each["runs"] for each in json.loads(text)["models"]}


def test_from_adding_to_removing(tmp_path, models, series):
    old, new = (dark_package(tmp_path / version, version=version) for version in ("1.0.0", "2.0.0"))
    assert models("add", str(old)) == (0, "dark 1.0.0: added and enabled\n")
    assert models("add", "--disabled", str(new)) == (0, "dark 2.0.0: added, not enabled\n")
    assert listed(models) | {"dark 1.0.0": True, "dark 2.0.0": False} == listed(models)
    assert models("enable", "dark", "--version", "2.0.0", "--reason", "validated")[0] == 0
    assert listed(models) | {"dark 1.0.0": False, "dark 2.0.0": True} == listed(models)

    models(str(series), command="import")
    _, planned = models("run", "dark", "--query", "PatientID=*", "--dry-run")
    assert planned == "1 studies: 1 work items would be scheduled, 0 known\n"
    for said in ("1 work items were scheduled, 0 known", "0 work items were scheduled, 1 known"):
        assert said in models("run", "dark", "--query", "PatientID=*")[1]

    assert models("remove", "dark", "--version", "2.0.0")[0] == 0
    assert listed(models) | {"dark 1.0.0": False} == listed(models)
    code, shown = models("show", "dark")
    assert code == 0
    assert "2.0.0 removed" in shown
    assert "validated" in shown


def test_version_in_shadow_is_promoted_and_rolled_back(tmp_path, models):
    old, new = (dark_package(tmp_path / version, version=version) for version in ("1.0.0", "2.0.0"))
    models("add", str(old))
    models("add", "--disabled", str(new))
    said = (0, "dark: 2.0.0 runs in shadow of 1.0.0\n")
    assert models("shadow", "dark", "--version", "2.0.0", "--reason", "trial") == said
    _, compared = models("compare", "dark", "--json")
    assert json.loads(compared) | {"current": "1.0.0", "shadow": "2.0.0", "inputs": 0} == json.loads(compared)
    assert models("promote", "dark") == (0, "dark 2.0.0: runs from now on\n")
    assert models("rollback", "dark") == (0, "dark 1.0.0: runs from now on\n")
    assert models("compare", "dark")[1] == "isocenter: no version of 'dark' runs in shadow\n"


def test_model_is_tried_on_files_without_an_archive(tmp_path, models, series):
    package = dark_package(tmp_path / "packages")
    code, text = models("try", str(package), str(series), "--out", str(tmp_path / "out"), "--json")
    tried = json.loads(text)
    assert code == 0
    assert [item["outcome"] for item in tried["work"]] == ["results"]
    assert tried["findings"][0]["code"]["meaning"] == "Lung"
    modalities = sorted(dcmread(path).Modality for path in (tmp_path / "out").iterdir())
    assert modalities == ["SEG", "SR"]
    assert not (tmp_path / "data").exists()


def test_what_went_wrong_is_one_line(tmp_path, models):
    assert models("remove", "ct-lung-density")[1].startswith("isocenter: ct-lung-density 1.0.0 was not added")
    assert (
        models("run", "ct-lung-density", "--query", "Patie=3")[1] == "isocenter: unknown attribute 'Patie'\n"
    )
    assert models("add", str(tmp_path))[1].endswith("no folders with a card.toml, one is needed\n")
