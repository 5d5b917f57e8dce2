"""What is queued, seen and changed by command and over HTTP."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from isocenter.cli import isocenter
from isocenter.routing.build import planner_for
from tests.isocenter.conftest import web_of
from tests.isocenter.routed import destination, peer, route, routing, store


@pytest.fixture
def queued(tmp_path, free_port):
    """Services with two parked shipments, and what runs a command on them."""
    text = peer("PACS", free_port) + destination("pacs", "PACS")
    text += route("all", "pacs", 'match = { Modality = "CT" }')
    with routing(tmp_path, text, running=False) as services:
        for _ in range(2):
            store(services, count=2)
    with routing(tmp_path, text, running=False) as services:
        planner_for(services).poll(datetime.now(UTC))
        for _ in range(2):
            held = services.shipments.take("pacs", "test", datetime.now(UTC), timedelta(minutes=1))
            services.shipments.later(held, datetime.now(UTC), "it is down", attempts=20, park=True)

        def run(*arguments):
            files = ("--config", str(tmp_path / "isocenter.toml"), "--data", str(tmp_path / "data"))
            return CliRunner().invoke(isocenter, ["routes", *arguments, *files], catch_exceptions=False)

        yield services, run


def test_commands_list_retry_and_drop(queued):
    services, run = queued
    listed = json.loads(run("list", "--json").stdout)
    (pacs,) = listed["destinations"]
    assert (pacs["to"], pacs["parked"], pacs["last_reason"]) == ("peer PACS", 4, "it is down")
    assert listed["routes"][0]["match"] == {"Modality": "CT"}
    assert "all: stored" in run("list").stdout
    second, first = json.loads(run("queue", "--json").stdout)
    assert (first["state"], first["total"], first["reason"]) == ("parked", 2, "it is down")
    assert "it is down" in run("queue").stdout
    assert run("retry", str(first["id"])).exit_code == 0
    assert services.shipments.listed(["waiting"])[0].id == first["id"]
    assert run("drop", "--parked").exit_code == 0
    assert [each.id for each in services.shipments.listed(["dropped"])] == [second["id"]]
    told = CliRunner().invoke(isocenter, ["routes", "drop", "99", "--data", str(services.settings.data)])
    assert told.exit_code == 1
    assert "which?" in CliRunner().invoke(isocenter, ["routes", "drop"]).output


def test_the_same_over_http_and_as_metrics(queued):
    services, _ = queued
    with web_of(services) as web:
        found = web.get("/api/routes").json()
        assert [each["destination"] for each in found["destinations"]] == ["pacs"]
        second, first = found["shipments"]
        assert web.post(f"/api/routes/{first['id']}/retry", json={}).json()["state"] == "waiting"
        assert web.post(f"/api/routes/{second['id']}/drop", json={}).json()["state"] == "dropped"
        assert web.post("/api/routes/99/retry", json={}).status_code == 404
        assert web.post(f"/api/routes/{first['id']}/retry").status_code == 415
        metrics = web.get("/metrics").text
        assert 'isocenter_route_queue{destination="pacs",state="waiting"} 2.0' in metrics
        assert 'isocenter_route_failed_total{destination="pacs"} 2.0' in metrics
