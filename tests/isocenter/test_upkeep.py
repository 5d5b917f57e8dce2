"""What an administrator does: rebuild, sweep, list refusals."""

import json
import shutil
import time
from pathlib import Path

import pytest

from inference.workitems import State
from isocenter.services import Services, open_services
from isocenter.settings import load_settings
from storage.instances import Origin
from storage.search import Query
from tests.isocenter.conftest import store_ct
from tests.storage.builders import SOP, STUDY, part10, spooled
from tests.support.system import isocenter

CARD = Path(__file__).parents[1] / "cards" / "cxr-mobilenetv3-int8"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"ISOCENTER_DATA": str(tmp_path / "data")}


@pytest.fixture
def film_model(tmp_path: Path, test_data: Path) -> str:
    package = shutil.copytree(CARD, tmp_path / "models" / "cxr")
    shutil.copy(test_data / "onnx" / "cxr-mobilenetv3-int8" / "model.onnx", package)
    return json.dumps([str(package)])


def run_all_work(services: Services) -> None:
    triggers, pipeline = services.triggers(), services.pipeline()
    deadline = time.monotonic() + 60
    while not services.work.list(states=[State.COMPLETED]) and time.monotonic() < deadline:
        triggers.poll()
        for uid in services.work.due():
            pipeline.run(uid)
        time.sleep(0.1)


def known(services: Services) -> tuple[object, object]:
    studies = services.archive.search(Query("study")).answers
    return studies, [services.findings.of_study(study["0020000D"]["Value"][0]) for study in studies]


def test_what_was_deleted_is_listed_and_comes_back(environment):
    with open_services(load_settings(None, environment)) as services:
        with services.archive.delivery(Origin("import")) as delivery:
            delivery.ingest(spooled(services.spool, part10()))
        services.archive.delete(STUDY)
        services.upkeep()
    (listed,) = json.loads(isocenter("deletions", "--json", environment=environment).stdout)
    assert (listed["study"], listed["instances"]) == (STUDY, 1)
    assert isocenter("undelete", "0" * 32, environment=environment).returncode == 1
    done = isocenter("undelete", listed["id"], environment=environment)
    assert (done.returncode, done.stdout) == (0, "1 instances brought back\n"), done.stderr
    with open_services(load_settings(None, environment)) as services:
        assert services.archive.instance(SOP).key.study == STUDY
        assert services.index.tombstones() == []


def test_reindex_brings_back_studies_and_findings_from_the_objects_alone(
    tmp_path, environment, film_model, test_data
):
    settings = load_settings(None, environment | {"ISOCENTER_INFERENCE__MODELS": film_model})
    film = (test_data / "dicom" / "cxr" / "test2.dcm").read_bytes()
    with open_services(settings) as services:
        with services.archive.delivery(Origin("import")) as delivery:
            delivery.ingest(spooled(services.spool, film))
        run_all_work(services)
        before = known(services)
        assert before[1][0], "the model found nothing"

    for file in settings.data.glob("index.sqlite*"):
        file.unlink()
    done = isocenter("reindex", environment=environment)
    assert done.returncode == 0, done.stderr
    assert "2 instances added" in done.stdout
    with open_services(settings) as services:
        assert known(services) == before


def test_sweep_takes_in_what_has_no_row_and_names_what_is_lost(services, environment):
    store_ct(services)
    objects = services.settings.objects_dir
    (kept,) = objects.rglob("*.dcm")
    kept.unlink()
    done = isocenter("sweep", environment=environment)
    assert done.returncode == 1
    assert f"lost: {kept.relative_to(objects)}" in done.stdout


def test_refusals_say_why_and_where_the_bytes_are(services, environment):
    store_ct(services)
    with services.archive.delivery(Origin("dimse", peer="CT01")) as delivery:
        delivery.ingest_many([spooled(services.spool, part10(PatientID="other"))])
    (refused,) = json.loads(isocenter("refusals", "--json", environment=environment).stdout)
    assert (refused["sop"], refused["study"], refused["times"]) == (SOP, STUDY, 1)
    assert "already stored with other bytes" in refused["reason"]
    assert services.blobs.stat(refused["blob"])
    assert "CT01" in isocenter("refusals", environment=environment).stdout


def test_import_reports_each_file(tmp_path, environment):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "good.dcm").write_bytes(part10())
    (folder / "bad.dcm").write_bytes(b"not DICOM")
    first = isocenter("import", str(folder / "good.dcm"), "--json", environment=environment)
    assert json.loads(first.stdout) == {"stored": 1, "refused": []}
    again = isocenter("import", str(folder), "--json", environment=environment)
    assert again.returncode == 1
    report = json.loads(again.stdout)
    assert report["known"] == 1
    assert [each["file"] for each in report["refused"]] == [str(folder / "bad.dcm")]
