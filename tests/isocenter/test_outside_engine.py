"""An outside AI engine pulls its work over HTTP and brings its results (IHE AIW-I)."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from inference.workitems import Outcome, Performer, State
from inference.workitems_sql import utc_now
from isocenter.services import Services, open_services
from isocenter.settings import load_settings
from models.catalog import Catalog
from models.errors import CardError
from tests.dicomweb.worklist import CODE, progress, state
from tests.isocenter.conftest import store_ct, web_of
from tests.isocenter.external import external_package
from tests.storage.builders import part10
from tests.support.system import isocenter

JSON = {"Content-Type": "application/dicom+json"}
STUDY = "1.2.826.0.1.1"


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    folder = external_package(tmp_path / "models")
    given = {
        "data": tmp_path / "data",
        "inference.models": [folder],
        "inference.settle_seconds": 0.01,
        "inference.quiet_seconds": 0.01,
        "web.base_url": "http://pacs.example",
    }
    with open_services(load_settings(None, {}, given)) as opened:
        yield opened


@pytest.fixture
def planned(services: Services) -> str:
    """UID of the work item that a stored image leads to."""
    store_ct(services)
    triggers, uids = services.triggers(), []
    while not uids:
        uids = triggers.poll()
    (uid,) = [uid for uid in uids if services.work.get(uid).model.name == "other-engine"]
    return uid


@pytest.fixture
def web(services: Services) -> Iterator[httpx.Client]:
    with web_of(services) as client:
        yield client


def output(report: str) -> dict:
    """The Performed Procedure Sequence that names a stored report."""
    referenced = {"00081155": {"vr": "UI", "Value": [report]}}
    made = {
        "00404019": {"vr": "SQ", "Value": [CODE]},
        "00404028": {"vr": "SQ", "Value": [CODE]},
        "00404033": {"vr": "SQ", "Value": [{"00081199": {"vr": "SQ", "Value": [referenced]}}]},
        "00404050": {"vr": "DT", "Value": ["20260102030405"]},
        "00404051": {"vr": "DT", "Value": ["20260102030505"]},
    }
    return {"00741216": {"vr": "SQ", "Value": [made]}}


def test_the_whole_loop_from_the_stored_image_to_the_stored_result(services, planned, web):
    send = {"headers": JSON}
    query = {"ProcedureStepState": "SCHEDULED", "ScheduledStationNameCodeSequence.CodeValue": "other-engine"}
    (found,) = web.get("/dicom-web/workitems", params=query).json()
    path = f"/dicom-web/workitems/{found['00080018']['Value'][0]}"
    assert path.endswith(planned)
    claimed = web.put(f"{path}/state", content=json.dumps([state("IN PROGRESS")]), **send)
    assert claimed.status_code == 200

    (step,) = web.get(path).json()
    (images,) = step["00404021"]["Value"]
    url = images["0040E025"]["Value"][0]["00081190"]["Value"][0]
    assert url.startswith("http://pacs.example/dicom-web/studies/")
    assert web.get(httpx.URL(url).path).status_code == 200
    assert images["00081199"]["Value"][0]["00081150"]["Value"] == ["1.2.840.10008.5.1.4.1.1.2"]
    assert step["00100010"]["Value"] == [{"Alphabetic": "Triangle^Red"}]

    progressed = web.post(f"{path}?2.25.77", content=json.dumps(progress(50)), **send)
    assert progressed.status_code == 200
    result = part10(SOPInstanceUID="1.2.826.0.1.1.9.1", SeriesInstanceUID="1.2.826.0.1.1.9", Modality="OT")
    stored = web.post("/dicom-web/studies", content=result, headers={"Content-Type": "application/dicom"})
    assert stored.status_code == 200
    web.post(f"{path}?2.25.77", content=json.dumps(output("1.2.826.0.1.1.9.1")), **send)
    done = web.put(f"{path}/state", content=json.dumps(state("COMPLETED")), **send)
    assert done.status_code == 200, done.text

    item = services.work.get(planned)
    assert (item.state, item.outcome) == (State.COMPLETED, Outcome.RESULTS)
    assert item.results == ("1.2.826.0.1.1.9.1",)


def test_our_workers_leave_it_alone(services, planned):
    assert services.work.get(planned).performer is Performer.OUTSIDE
    assert planned not in services.work.due(utc_now() + timedelta(days=1))
    assert services.work.claim(planned, "worker", timedelta(seconds=60)) is None


def test_a_card_of_an_outside_engine_cannot_be_run_here(services):
    assert [card.name for card in services.catalog.external()] == ["other-engine"]
    assert "other-engine" not in {card.name for card in services.catalog.cards()}
    with pytest.raises(CardError, match="carried out elsewhere"):
        services.catalog.get("other-engine")


def test_a_key_too_many_in_such_a_card_is_named(tmp_path):
    folder = external_package(tmp_path)
    card = folder / "other-engine" / "card.toml"
    card.write_text(card.read_text().replace("[applies_to]", 'file = "model.onnx"\n[applies_to]'))
    (broken,) = Catalog([folder]).broken()
    assert "file" in broken.reason


def test_work_is_looked_at_canceled_and_repeated_over_the_interface(services, planned, web):
    listed = web.get("/api/work", params={"state": "SCHEDULED", "model": "other-engine"}).json()
    assert [item["uid"] for item in listed["work"]] == [planned]
    assert listed["counts"]["SCHEDULED"] >= 1
    assert web.get(f"/api/work/{planned}").json()["label"] == "other-engine 3.1"

    form = {"Content-Type": "text/plain"}
    assert web.post(f"/api/work/{planned}/cancel", content="{}", headers=form).status_code == 415
    canceled = web.post(f"/api/work/{planned}/cancel", json={"reason": "wrong patient"})
    assert (canceled.json()["state"], canceled.json()["reason"]) == ("CANCELED", "wrong patient")
    assert web.post(f"/api/work/{planned}/cancel", json={}).status_code == 409

    again = web.post(f"/api/work/{planned}/retry", json={}).json()
    assert (again["state"], again["predecessor"]) == ("SCHEDULED", planned)
    assert again["uid"] != planned
    assert web.post(f"/api/work/{planned}/retry", json={}).json()["uid"] == again["uid"]
    assert web.post("/api/work/9.9/retry", json={}).status_code == 404
    assert web.post("/api/work/9.9/cancel", json={}).status_code == 404
    assert web.get("/api/work/9.9").status_code == 404


def test_a_model_is_started_by_hand(services, web):
    store_ct(services)
    asked = {"model": "other-engine", "study": STUDY}
    first = web.post("/api/work", json=asked)
    assert first.status_code == 201
    (item,) = first.json()["work"]
    assert (item["new"], item["priority"], item["state"]) == (True, "HIGH", "SCHEDULED")
    (same,) = web.post("/api/work", json=asked).json()["work"]
    assert (same["new"], same["uid"]) == (False, item["uid"])

    assert "no model" in web.post("/api/work", json={**asked, "model": "none"}).json()["detail"]
    assert web.post("/api/work", json={**asked, "study": "9.9"}).status_code == 404
    chest = {**asked, "model": "ct-lung-density"}
    assert "none of the images" in web.post("/api/work", json=chest).json()["detail"]


def test_what_is_done_is_not_done_again(services, planned, web):
    steps = services.steps
    steps.change_state(planned, "IN PROGRESS", "2.25.77")
    assert web.post(f"/api/work/{planned}/retry", json={}).status_code == 409
    steps.update(planned, output("1.2.3"), "2.25.77")
    steps.change_state(planned, "COMPLETED", "2.25.77")
    assert web.post(f"/api/work/{planned}/retry", json={}).status_code == 409


def test_work_is_started_canceled_and_repeated_on_the_command_line(services, tmp_path):
    store_ct(services)
    environment = {
        "ISOCENTER_DATA": str(tmp_path / "data"),
        "ISOCENTER_INFERENCE__MODELS": json.dumps([str(tmp_path / "models")]),
    }
    started = isocenter("work", "run", "other-engine", STUDY, "--json", environment=environment)
    (item,) = json.loads(started.stdout)
    canceled = isocenter("work", "cancel", item["uid"], "--reason", "wrong patient", environment=environment)
    assert "canceled" in canceled.stdout
    refused = isocenter("work", "cancel", item["uid"], environment=environment)
    assert (refused.returncode, "CANCELED already" in refused.stderr) == (1, True)
    again = isocenter("work", "retry", item["uid"], environment=environment)
    assert "other-engine 3.1: SCHEDULED" in again.stdout
    shown = json.loads(isocenter("work", "show", item["uid"], "--ups", environment=environment).stdout)
    assert shown["00741000"]["Value"] == ["CANCELED"]
    listed = isocenter("work", "list", "--state", "SCHEDULED", environment=environment).stdout
    assert "other-engine 3.1" in listed
