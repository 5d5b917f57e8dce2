"""A study pushed over DICOM comes back with AI findings as valid DICOM objects that name their images."""

import json
import shutil
import subprocess
from pathlib import Path

import highdicom
import pydicom
import pytest

from dicom_node.send import send
from sample_studies.samples import sample_truth
from tests.support.system import System, served

SR = "1.2.840.10008.5.1.4.1.1.88.34"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"


def errors_of(path: Path) -> list[str]:
    said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    return [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]


def results_of(system: System, study: str, folder: Path) -> dict[str, pydicom.Dataset]:
    """The SR and SEG objects of the study, saved as files named by SOP Instance UID."""
    found = {}
    for series in system.web.search_for_series(study):
        if series["00080060"]["Value"][0] in {"SR", "SEG"}:
            for ds in system.web.retrieve_series(study, series["0020000E"]["Value"][0]):
                ds.save_as(folder / f"{ds.SOPInstanceUID}.dcm", enforce_file_format=True)
                found[ds.SOPInstanceUID] = ds
    return found


def test_chest_ct_comes_back_with_lung_density_that_matches_the_truth(
    system: System, chest_ct: list[Path], samples: Path, tmp_path: Path
):
    results = send(chest_ct, system.host, system.port, "ISOCENTER", "TEST")
    assert all(each.stored for each in results)
    items = system.wait_for_work(2)
    assert {item["model"] for item in items} == {"ct-lung-density", "ct-nodule-candidates"}
    assert {(item["state"], item["outcome"]) for item in items} == {("COMPLETED", "results")}, items
    study = items[0]["study"]
    found = results_of(system, study, tmp_path)
    assert set(found) == {uid for item in items for uid in item["results"]}

    images = {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in chest_ct}
    for uid, ds in found.items():
        path = tmp_path / f"{uid}.dcm"
        assert errors_of(path) == []
        assert ds.SOPClassUID in {SR, SEG}
        assert referenced(ds) & images
        assert referenced(ds) <= images | set(found) | {item["uid"] for item in items}
        if ds.SOPClassUID == SR:
            dumped = subprocess.run(["dsrdump", str(path)], capture_output=True, text=True, check=False)
            assert dumped.returncode == 0, dumped.stderr

    truth = sample_truth("red-triangle", samples)
    numbers = lung_numbers(found)
    assert numbers["118565006"] == pytest.approx(truth["volume_ml"][0], rel=0.01)
    assert numbers["LAA-950"] == pytest.approx(truth["laa950_percent"], abs=0.5)


def referenced(ds: pydicom.Dataset) -> set[str]:
    return {element.value for element in ds.iterall() if element.keyword == "ReferencedSOPInstanceUID"}


def lung_numbers(found: dict[str, pydicom.Dataset]) -> dict[str, float]:
    """Concept → value of the group about both lungs, which is about no segment (TID 1501)."""
    numbers = {}
    for ds in found.values():
        if ds.SOPClassUID == SR:
            content = highdicom.sr.Comprehensive3DSR.from_dataset(ds).content
            for group in content.get_image_measurement_groups():
                numbers |= {item.name.value: item.value for item in group.get_measurements()}
    return numbers


def test_a_foreign_model_needs_no_code(test_data: Path, tmp_path: Path):
    package = tmp_path / "models" / "cxr"
    shutil.copytree(Path(__file__).parents[1] / "cards" / "cxr-mobilenetv3-int8", package)
    shutil.copy(test_data / "onnx" / "cxr-mobilenetv3-int8" / "model.onnx", package)
    with served(tmp_path, ISOCENTER_INFERENCE__MODELS=json.dumps([str(package.parent)])) as (system, _):
        (sent,) = send(
            [test_data / "dicom" / "cxr" / "test2.dcm"], system.host, system.port, "ISOCENTER", "TEST"
        )
        assert sent.stored
        (item,) = system.wait_for_work(1)
        assert item["state"] == "COMPLETED", item
        (report,) = results_of(system, item["study"], tmp_path).values()
        text = subprocess.run(
            ["dsrdump", str(tmp_path / f"{report.SOPInstanceUID}.dcm")],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert "Cardiomegaly" in text
