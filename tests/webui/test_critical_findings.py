"""Critical findings: on top of the worklist until somebody says that they were seen, or gives a verdict."""

import pytest

from tests.storage.builders import STUDY
from tests.webui.test_reviews_api import ANN, BASE, REPORT, REVIEWS, TRACKING, nodule

BOB = {"reviewer": {"name": "Reader^Bob"}}
ACKNOWLEDGEMENT = f"{BASE}/{TRACKING}/acknowledgement"
NEWER = "1.2.826.0.1.77"


@pytest.fixture
def critical(store, services):
    """An old study with a critical finding, and a newer one without."""
    store(StudyDate="20200101")
    store(SOPInstanceUID=REPORT, SeriesInstanceUID="1.2.826.0.1.8", StudyDate="20200101")
    store(
        StudyInstanceUID=NEWER,
        SeriesInstanceUID=f"{NEWER}.1",
        SOPInstanceUID=f"{NEWER}.1.1",
        StudyDate="20260101",
    )
    services.findings.replace_report(REPORT, [nodule(critical=True)])


def listed(web, **asked) -> list[tuple[str, int]]:
    studies = web.get("/api/worklist", params=asked).json()["studies"]
    return [(each["uid"], each["critical"]) for each in studies]


def finding(web) -> dict:
    (found,) = web.get(BASE).json()["findings"]
    return found


@pytest.mark.usefixtures("critical")
def test_the_study_is_on_top_until_the_finding_is_acknowledged(web):
    assert listed(web) == [(STUDY, 1), (NEWER, 0)]
    assert listed(web, limit=1) == [(STUDY, 1), (NEWER, 0)]
    assert listed(web, behind=NEWER) == [], "it stands above already"
    assert listed(web, first_date="2026-01-01") == [(NEWER, 0)], "filters hold for it too"
    assert (finding(web)["critical"], finding(web)["acknowledgement"]) == (True, None)

    assert web.post(ACKNOWLEDGEMENT, json=ANN).status_code == 201
    said = web.post(ACKNOWLEDGEMENT, json=BOB).json()
    assert said["by"] == "Reader^Ann", "who came first"
    assert finding(web)["acknowledgement"] == said
    assert listed(web) == [(NEWER, 0), (STUDY, 0)]


@pytest.mark.usefixtures("critical")
def test_a_verdict_acknowledges(web, services):
    web.post(REVIEWS, json={"verdict": "reject", **ANN})
    assert listed(web) == [(NEWER, 0), (STUDY, 0)]
    assert finding(web)["acknowledgement"]["by"] == "Reader^Ann"
    services.findings.replace_report(REPORT, [nodule(critical=True)])
    assert listed(web) == [(NEWER, 0), (STUDY, 0)], "an index that is rebuilt raises no alarm again"


@pytest.mark.usefixtures("critical")
def test_only_critical_findings_are_acknowledged(web, services):
    services.findings.replace_report(REPORT, [nodule()])
    answer = web.post(ACKNOWLEDGEMENT, json=ANN)
    assert answer.status_code == 400
    assert "not critical" in answer.json()["detail"]
    assert web.post(f"{BASE}/1.2.3.999/acknowledgement", json=ANN).status_code == 404
