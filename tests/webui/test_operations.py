"""What the operations page is told."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from storage.errors import DuplicateInstance
from storage.instances import Origin
from storage.sql.engine import connect
from storage.sql.senders import senders
from storage.sql.tables import events
from tests.storage.builders import part10, spooled
from webui.api.operations import Volume


def bring(services, origin: Origin, *numbers: int) -> None:
    with services.archive.delivery(origin) as delivery:
        for number in numbers:
            delivery.ingest(spooled(services.spool, part10(SOPInstanceUID=f"1.2.3.{number}")))


CT1 = Origin("dimse", "CT1", "10.0.0.1")
CT2 = Origin("dimse", "CT2", "10.0.0.2")


def test_senders_are_told_apart_with_what_they_brought(web, services):
    bring(services, CT1, 1, 2)
    bring(services, CT2, 3)
    told = web.get("/api/operations").json()
    assert [(each["peer"], each["last_hour"], each["last_day"]) for each in told["senders"]] == [
        ("CT2", 1, 1),
        ("CT1", 2, 2),
    ]
    assert told["trouble"] is None
    assert {"free", "total", "holds"} == set(told["disks"][0])


def test_hours_are_counted_back_from_now(services):
    bring(services, CT1, 1, 2)
    brought = services.archive.senders(datetime.now(UTC) + timedelta(hours=5, minutes=30))
    assert brought.senders[0].hours[:7] == (0, 0, 0, 0, 0, 2, 0)
    assert services.archive.senders(datetime.now(UTC) + timedelta(hours=25)).senders == ()


def test_more_than_is_looked_at_says_since_when_it_counts(services):
    bring(services, CT1, *range(10))
    engine = connect(services.settings.index_url)
    now = datetime.now(UTC)
    with engine.begin() as connection:
        assert senders(connection, now, most=100).since == now - timedelta(days=1)
        few = senders(connection, now, most=5)
        assert sum(few.senders[0].hours) <= 5
        assert now - few.since < timedelta(minutes=1)
        connection.execute(update(events).values(at=now - timedelta(days=2)))
        assert senders(connection, now, most=5).senders == ()
    engine.dispose()


def test_refusals_are_listed_with_reason_and_sender(web, services):
    bring(services, CT1, 1)
    with services.archive.delivery(CT2) as delivery, pytest.raises(DuplicateInstance):
        delivery.ingest(spooled(services.spool, part10(SOPInstanceUID="1.2.3.1", PatientID="other")))
    (refused,) = web.get("/api/operations").json()["refusals"]
    assert (refused["peer"], refused["sop"], refused["kept"]) == ("CT2", "1.2.3.1", True)


def test_the_volume_is_counted_seldom(services):
    bring(services, CT1, 1)
    now = [0.0]
    volume = Volume(services.archive, lambda: now[0])
    first = volume.told()
    assert (first["instance"], first["bytes"]) == (1, services.archive.instance("1.2.3.1").size)
    bring(services, CT1, 2)
    assert volume.told() == first
    now[0] = 11.0
    assert volume.told()["instance"] == 2


def test_trouble_is_said(web, services):
    objects = services.settings.objects_dir
    objects.chmod(0o500)
    bucket = objects.rename(objects.with_name("away"))
    try:
        assert web.get("/api/operations").json()["trouble"]
    finally:
        bucket.rename(objects)
        objects.chmod(0o700)


ANN = {"reviewer": {"name": "Admin^Ann"}}


def test_a_model_is_stopped_and_runs_again(web, services):
    (path,) = (f"/api/models/{each['name']}" for each in web.get("/api/models").json()["models"][:1])
    stopped = web.post(f"{path}/disable", json=ANN | {"reason": "too many alarms"})
    assert stopped.status_code == 200, stopped.text
    assert "Admin^Ann: too many alarms" in stopped.json()["stopped"]
    assert services.catalog.why_stopped(stopped.json()["name"]) == stopped.json()["stopped"]
    assert web.post(f"{path}/enable", json=ANN).json()["stopped"] is None
    assert web.post(f"{path}/enable", json={}).status_code == 400
    assert web.post("/api/models/unknown/enable", json=ANN).status_code == 404


@pytest.mark.parametrize("verb", ["enable", "shadow"])
def test_versions_that_are_not_there_are_not_decided_on(web, services, verb):
    model = web.get("/api/models").json()["models"][0]
    answer = web.post(f"/api/models/{model['name']}/{verb}", json=ANN | {"version": "9.9.9"})
    assert answer.status_code == 409
    assert "9.9.9" in answer.json()["detail"]
    same = web.post(f"/api/models/{model['name']}/shadow", json=ANN | {"version": model["version"]})
    assert (same.status_code, "nothing to compare" in same.json()["detail"]) == (409, True)
    assert services.decisions.latest() == {}


def test_work_is_found_by_how_it_ended(web, services):
    assert web.get("/api/work", params={"outcome": "failed"}).json()["work"] == []
    assert web.get("/api/work", params={"outcome": "lost"}).status_code == 400
