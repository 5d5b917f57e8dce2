"""What people say becomes figures, figures stop a model, and signed reports bring lost reviews back."""

import pytest

from inference.following import ReportFollower
from inference.governance import Standing
from inference.quality import Floor, pause_below
from isocenter.commands.upkeep import _reindex_findings
from tests.inference.analyses import SERIES, candidates, lungs
from tests.webui.test_signing import ACCEPT, ANN, BASE, DIAMETER_7, MOVED, REJECT, analysed, judge, sign

__all__ = ["analysed", "judge"]

CORRECT = {"verdict": "correct", "comment": "bigger", "corrected": DIAMETER_7 | {"region": MOVED}}


def follow(services) -> None:
    follower = ReportFollower(services.archive, services.work, services.quality)
    while follower.poll():
        pass
    follower.poll()


def figures(web, **asked) -> dict:
    answer = web.get("/api/quality", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_verdicts_become_figures_of_the_model_its_scanner_and_the_month(web, services, analysed, judge):
    analysed(candidates)
    judge(ACCEPT, REJECT)
    judge(CORRECT)
    web.post(f"{BASE}/findings", json={"series_uid": SERIES, "label": "Nodule", **ANN})
    follow(services)
    follow(services)

    told = figures(web)
    (total,) = told["models"]
    assert total == total | {
        "model": "ct-lung-density",
        "version": "1.0.0",
        "results": 1,
        "findings": 2,
        "judged": 2,
        "accepted": 0,
        "corrected": 1,
        "rejected": 1,
        "missed": 1,
        "acceptance": 0.0,
        "agreement": pytest.approx(1 / 3),
    }
    (scanner,) = told["scanners"]
    assert (scanner["manufacturer"], len(scanner["month"]), scanner["missed"]) == ("ACME", 7, 1)
    (drift,) = told["drift"]
    assert drift["histograms"] == {
        "manufacturer": {"ACME": 1},
        "score": {"0.5-0.6": 1, "0.8-0.9": 1},
        "spacing": {"0.7-0.8": 1},
    }
    assert figures(web, model="other")["models"] == []
    assert figures(web, since="2020-01-01")["models"] == told["models"]
    assert figures(web, since="2099-01-01")["models"] == []
    text = web.get("/metrics").text
    assert 'isocenter_reviews{model="ct-lung-density",verdict="rejected",version="1.0.0"} 1.0' in text
    assert 'isocenter_agreement_ratio{model="ct-lung-density",version="1.0.0"} 0.33' in text


def test_undone_reviews_do_not_count(web, services, analysed, judge):
    analysed(candidates)
    finding, _ = judge(ACCEPT, ACCEPT)
    review = web.post(f"{BASE}/findings/{finding}/reviews", json=ANN | REJECT).json()["id"]
    web.request("DELETE", f"{BASE}/findings/{finding}/reviews/{review}", json=ANN)
    follow(services)
    (total,) = figures(web)["models"]
    assert (total["accepted"], total["rejected"], total["agreement"]) == (2, 0, 1.0)


def test_a_model_under_its_floor_is_paused_with_the_reason(services, analysed, judge):
    analysed(candidates)
    judge(ACCEPT, REJECT)
    follow(services)

    def paused(floor: float, least: int) -> list[str]:
        floors = [Floor("ct-lung-density", "1.0.0", floor, least)]
        return pause_below(floors, services.quality, services.decisions)

    assert paused(0.5, 2) == []
    assert paused(0.8, 3) == []
    assert paused(0.8, 2) == ["ct-lung-density"]
    decision = services.decisions.latest()["ct-lung-density"]
    assert decision.standing is Standing.PAUSED
    assert "50% over 2 findings, under the floor of its card, 80%" in decision.reason

    services.decisions.record("ct-lung-density", Standing.ENABLED, by="Ann")
    enabled = services.decisions.latest()["ct-lung-density"].at
    again = Floor("ct-lung-density", "1.0.0", 0.8, 2, enabled)
    assert pause_below([again], services.quality, services.decisions) == []


def test_models_are_shown_with_what_they_are_for_and_not_for(web):
    listed = {each["name"]: each for each in web.get("/api/models").json()["models"]}
    assert {"ct-lung-density", "ct-nodule-candidates"} <= set(listed)
    card = web.get("/api/models/ct-nodule-candidates").json()
    assert card["thresholds"] == {"Nodule": 0.5}
    assert card["inputs"] == []
    assert card["not_for"]
    assert card["intended_use"]
    assert card["readme"].startswith("#")
    assert len(card["digest"]) == 64
    assert web.get("/api/models/none").status_code == 404


def test_a_lost_database_gets_its_signed_reviews_back_from_the_reports(
    web, services, analysed, judge, tmp_path
):
    analysed(candidates, lungs)
    judge(CORRECT, REJECT, ACCEPT, REJECT)
    web.post(f"{BASE}/findings", json={"series_uid": SERIES, "label": "Nodule", **ANN})
    signed = sign(web)
    before = web.get(f"{BASE}/findings").json()
    with services.history._engine.begin() as connection:
        for table in ("reviews", "signed_reports", "findings"):
            connection.exec_driver_sql(f"DELETE FROM {table}")

    for _ in range(2):
        _reindex_findings(services)
    after = web.get(f"{BASE}/findings").json()
    assert [each["sr_uid"] for each in after["verified"]] == [signed["sr_uid"]]

    def said(answer: dict) -> list:
        return sorted(
            (f["id"], f["review"]["verdict"], f["review"]["corrected"], f["signed"])
            for f in answer["findings"]
        )

    assert said(after) == said(before)
    assert [f["review"]["comment"] for f in after["findings"]][:2] == ["bigger", "vessel"]


def test_comparison_needs_a_version_in_shadow(web):
    answer = web.get("/api/models/ct-nodule-candidates/comparison", params={"since": "2026-01-01"})
    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        "no version of ct-nodule-candidates runs in shadow",
    )
