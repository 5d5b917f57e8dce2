"""QIDO-RS by findings and reviews, over the whole application."""

from inference.reviews import NewReview, Reviewer, Verdict
from tests.webui.test_worklist import MASS, found, study

__all__ = ["study"]


def seen(web, query: str, path: str = "studies") -> list[str]:
    answer = web.get(f"/dicom-web/{path}?{query}")
    assert answer.status_code == 200, answer.text
    return [each["0020000D"]["Value"][0] for each in answer.json()]


def test_studies_are_found_by_what_models_and_people_say(web, study, services):
    nodule, mass, both, nothing = (study(number, PatientID=f"P{number}") for number in range(1, 5))
    found(services, nodule, 0.4)
    found(services, mass, 0.9, code=MASS)
    found(services, both, 0.7, 0.95)
    found(services, nothing)
    assert set(seen(web, "")) == {nodule, mass, both, nothing}
    assert set(seen(web, "finding=27925004")) == {nodule, both}
    assert seen(web, "finding=27925004&findingscore=0.5") == [both]
    assert seen(web, "finding=27925004&PatientID=P1") == [nodule]
    assert seen(web, "finding=1") == []
    assert set(seen(web, "model=ct-test&findingscore=0.9")) == {mass, both}
    assert seen(web, "model=other") == []
    assert seen(web, "finding=4147007", "series") == [mass]
    assert seen(web, "finding=4147007", "instances") == [mass]

    said = NewReview(mass, f"{mass}.9.0", Verdict.ACCEPT, Reviewer("Röntgen^Anna", "roentgen"))
    services.history.add(said)
    assert set(seen(web, "reviewstate=open")) == {nodule, both}
    assert seen(web, "reviewstate=judged") == [mass]
    assert seen(web, "reviewstate=judged&finding=27925004") == []
    assert seen(web, "reviewstate=nothing") == [nothing]
    assert web.get("/dicom-web/studies?findingscore=0.5").status_code == 400


def test_the_parameters_are_documented(web):
    paths = web.get("/openapi.json").json()["paths"]
    named = {each["name"] for each in paths["/dicom-web/studies"]["get"]["parameters"]}
    assert {"finding", "findingscore", "model", "reviewstate"} <= named
