"""UPS-RS: an outside client creates, claims, performs, cancels, finds and watches work items over HTTP."""

import json
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as open_socket

from dicomweb.ups_answers import STATUS
from dicomweb.xml import write_xml
from inference.ups import replies
from tests.dicomweb.worklist import PERFORMED, STEP, progress, state

JSON = {"Content-Type": "application/dicom+json"}
GLOBAL, FILTERED = "1.2.840.10008.5.1.4.34.5", "1.2.840.10008.5.1.4.34.5.1"


@pytest.fixture
def send(web):
    """Sends a data set; gives the answer."""

    def send(method, path, body=None, **options):
        content = None if body is None else json.dumps([body])
        return web.request(method, path, content=content, headers=JSON, **options)

    return send


@pytest.fixture
def create(send):
    """Creates a work item; tells its UID."""

    def create(uid="1.2.9", **changes):
        body = STEP | {tag: {"vr": STEP[tag]["vr"], "Value": [value]} for tag, value in changes.items()}
        assert send("POST", f"/workitems?workitem={uid}", body).status_code == 201
        return uid

    return create


def value(data_set, tag):
    return data_set[tag]["Value"][0]


def warning(answer):
    return answer.headers["warning"].split('"')[1]


def test_a_work_item_goes_its_way_from_creation_to_results(web, send):
    created = send("POST", "/workitems", STEP)
    assert created.status_code == 201
    path = created.headers["location"].removeprefix(str(web.base_url).rstrip("/"))

    assert send("PUT", f"{path}/state", state("IN PROGRESS")).status_code == 200
    assert send("POST", f"{path}?transaction-uid=2.25.77", progress(40)).status_code == 200
    refused = send("PUT", f"{path}/state", state("COMPLETED"))
    assert (refused.status_code, "0074,1216" in refused.json()["detail"]) == (409, True)
    assert send("POST", f"{path}?2.25.77", PERFORMED).status_code == 200
    assert send("PUT", f"{path}/state", state("COMPLETED")).status_code == 200

    (done,) = web.get(path).json()
    assert value(done, "00741000") == "COMPLETED"
    assert value(value(done, "00741002"), "00741004") == 40
    assert value(value(value(done, "00741216"), "00404033"), "0020000E") == "1.2.7"
    assert "00081195" not in done


def test_two_performers_who_claim_at_once_are_told_apart(send, create):
    uid = create()
    with ThreadPoolExecutor(8) as threads:
        claims = [
            threads.submit(send, "PUT", f"/workitems/{uid}/state", state("IN PROGRESS", f"2.25.{number}"))
            for number in range(1, 9)
        ]
    statuses = sorted(each.result().status_code for each in claims)
    assert statuses == [200] + [409] * 7


def test_refusals_have_the_status_and_the_warning_of_the_standard(send, create):
    path = f"/workitems/{create()}"
    answers = [
        send("PUT", f"{path}/state", state("COMPLETED")),
        send("PUT", f"{path}/state", state("IN PROGRESS", "")),
        send("PUT", f"{path}/state", state("SCHEDULED")),
        send("PUT", f"{path}/state", state("IN PROGRESS")),
        send("PUT", f"{path}/state", state("IN PROGRESS")),
        send("PUT", f"{path}/state", state("CANCELED", "2.25.78")),
        send("POST", path, progress(1)),
        send("POST", f"{path}/cancelrequest"),
        send("PUT", f"{path}/state", state("CANCELED")),
        send("PUT", f"{path}/state", state("CANCELED")),
        send("POST", f"{path}/cancelrequest"),
        send("POST", f"{path}?transaction-uid=2.25.77", progress(1)),
    ]
    inconsistent = "The submitted request is inconsistent with the state of the UPS Instance."
    assert [(each.status_code, warning(each) if "warning" in each.headers else "") for each in answers] == [
        (409, "The target URI did not reference a claimed Workitem."),
        (409, "The Transaction UID is missing."),
        (400, inconsistent),
        (200, ""),
        (409, inconsistent),
        (409, "The Transaction UID is incorrect."),
        (409, "The Transaction UID is incorrect."),
        (409, "The performer cannot be contacted."),
        (200, ""),
        (200, "The UPS is already in the requested state of CANCELED."),
        (202, "The UPS is already in the requested state of CANCELED."),
        (409, inconsistent),
    ]


def test_what_is_missing_or_wrong_is_named(send, create, web):
    create()
    assert send("POST", "/workitems?workitem=1.2.9", STEP).status_code == 409
    for tag in ("00741000", "00741200", "00741204", "00404005", "00404041"):
        answer = send("POST", "/workitems", {key: each for key, each in STEP.items() if key != tag})
        assert answer.status_code == 400
        assert f"({tag[:4]},{tag[4:]}) is missing" in answer.json()["detail"]
    for tag, wrong in (("00741000", "IN PROGRESS"), ("00741200", "STAT"), ("00404005", "soon")):
        body = STEP | {tag: {"vr": STEP[tag]["vr"], "Value": [wrong]}}
        assert send("POST", "/workitems", body).status_code == 400
    for path in ("/workitems/9", "/workitems/9/state"):
        method = "PUT" if path.endswith("state") else "POST"
        assert send(method, path, state("IN PROGRESS") if method == "PUT" else progress(1)).status_code == 404
    assert send("POST", "/workitems/1.2.9", {"0020000D": {"vr": "UI", "Value": ["1.3"]}}).status_code == 400


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"[", "application/dicom+json", 400),
        (b"[{}, {}]", "application/dicom+json", 400),
        (b"[3]", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"<a/>", "application/dicom+xml", 400),
        (b'{"00741204": {"vr": "LO", "BulkDataURI": "http://a"}}', "application/json", 400),
        (b"{}", "text/plain", 415),
        (b" " * ((4 << 20) + 1), "application/json", 413),
    ],
)
def test_bodies_that_are_no_data_set_are_refused(web, body, kind, status):
    answer = web.post("/workitems", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status


def test_a_worklist_label_is_given_where_there_is_none(send, web):
    answer = send("POST", "/workitems?1.2.10", STEP | {"00741202": {"vr": "LO"}})
    assert (answer.status_code, warning(answer)) == (201, "The Workitem was created with modifications.")
    assert value(web.get("/workitems/1.2.10").json()[0], "00741202") == "Isocenter"


def test_xml_says_the_same_as_json(web, create):
    body = write_xml(STEP)
    answer = web.post(
        "/workitems?workitem=1.2.8", content=body, headers={"Content-Type": "application/dicom+xml"}
    )
    assert answer.status_code == 201
    as_json = web.get("/workitems/1.2.8").json()[0]
    assert value(as_json, "00100010") == {"Alphabetic": "Doe^Jane"}

    answer = web.get(
        "/workitems/1.2.8", headers={"Accept": 'multipart/related; type="application/dicom+xml"'}
    )
    part = answer.content.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]
    names = {each.get("tag") for each in ET.fromstring(part)}
    assert names == set(as_json)


def test_searches_match_in_all_ways(web, create):
    create("1.2.1", **{"00741204": "Read the chest", "00404005": "20260101"})
    create("1.2.2", **{"00741204": "Read the head", "00404005": "202601021530"})
    create(
        "1.2.3", **{"00741200": "HIGH", "00100010": {"Alphabetic": "Ångström^Åsa"}, "00404005": "20260301"}
    )

    def found(query):
        answer = web.get(f"/workitems?{query}")
        assert answer.status_code == 200, answer.text
        return [value(each, "00080018") for each in answer.json()]

    assert found("") == ["1.2.3", "1.2.1", "1.2.2"]
    assert found("ProcedureStepLabel=*head") == ["1.2.2"]
    assert found("PatientName=angstrom*") == ["1.2.3"]
    assert found("ScheduledProcedureStepPriority=HIGH,LOW") == ["1.2.3"]
    assert found("SOPInstanceUID=1.2.2,1.2.1") == ["1.2.1", "1.2.2"]
    assert found("ScheduledProcedureStepStartDateTime=20260102-20260201") == ["1.2.2"]
    assert found("ScheduledProcedureStepStartDateTime=202601") == ["1.2.1", "1.2.2"]
    assert found("ScheduledProcedureStepStartDateTime=-20260101") == ["1.2.1"]
    assert found("ProcedureStepState=COMPLETED") == []
    assert found("ScheduledWorkitemCodeSequence.CodeValue=110001") == []
    assert found("limit=1&offset=1") == ["1.2.1"]
    assert web.get("/workitems?limit=1").headers["warning"].startswith("299 ")
    assert web.get("/workitems?NoSuchAttribute=1").status_code == 400
    assert web.get("/workitems?ScheduledProcedureStepStartDateTime=soon").status_code == 400


def test_every_reply_has_an_http_status():
    codes = {code for name, code in vars(replies).items() if name.isupper() and isinstance(code, int)}
    assert {code for code in codes if code and code >> 12 != 0xB} == set(STATUS)


@pytest.fixture
def listen(web):
    """Opens the event channel of an AE title."""

    def listen(aet, **options):
        address = str(web.base_url).rstrip("/").replace("http://", "ws://")
        return open_socket(f"{address}/ws/subscribers/{aet}", **options)

    return listen


def told(socket):
    report = json.loads(socket.recv(timeout=20))
    state = report.get("00741000", {}).get("Value", [""])[0]
    return value(report, "00001000"), value(report, "00001002"), state


def test_a_subscriber_hears_of_every_change_also_of_those_before_it_listened(send, create, listen):
    uid = create()
    path = f"/workitems/{uid}"
    subscribed = send("POST", f"{path}/subscribers/WATCH")
    assert subscribed.status_code == 201
    assert subscribed.headers["content-location"].endswith("/dicom-web/ws/subscribers/WATCH")
    send("PUT", f"{path}/state", state("IN PROGRESS"))
    with listen("WATCH") as socket:
        assert [told(socket) for _ in range(2)] == [(uid, 1, "SCHEDULED"), (uid, 1, "IN PROGRESS")]
        send("POST", f"{path}?transaction-uid=2.25.77", progress(30))
        assert told(socket) == (uid, 3, "")
    assert send("POST", f"{path}/cancelrequest").status_code == 202
    send("POST", f"{path}?transaction-uid=2.25.77", PERFORMED)
    send("PUT", f"{path}/state", state("COMPLETED"))
    with listen("WATCH") as socket:
        assert [told(socket) for _ in range(2)] == [(uid, 2, ""), (uid, 1, "COMPLETED")]


def test_subscriptions_to_all_to_some_and_not_to_one(send, create, steps):
    def heard(aet):
        waiting = steps.reports.waiting("web", aet)
        for report in waiting:
            steps.reports.received(report.id)
        return [report.uid for report in waiting]

    create("1.2.1")
    assert send("POST", f"/workitems/{GLOBAL}/subscribers/ALL?deletionlock=true").status_code == 201
    assert send("POST", f"/workitems/{FILTERED}/subscribers/SOME?filter=PatientID=P2").status_code == 201
    assert send("POST", f"/workitems/{FILTERED}/subscribers/NONE").status_code == 400
    assert send("POST", "/workitems/9.9/subscribers/ALL").status_code == 404
    assert heard("ALL") == ["1.2.1"]
    create("1.2.2", **{"00100020": "P2"})
    assert (heard("ALL"), heard("SOME")) == (["1.2.2"], ["1.2.2"])
    send("DELETE", "/workitems/1.2.1/subscribers/ALL")
    send("POST", f"/workitems/{GLOBAL}/subscribers/ALL/suspend")
    create("1.2.3", **{"00100020": "P2"})
    for uid in ("1.2.1", "1.2.2", "1.2.3"):
        send("POST", f"/workitems/{uid}/cancelrequest")
    # By way of IN PROGRESS (CC.2.2.3).
    assert heard("ALL") == ["1.2.2", "1.2.2"]
    assert heard("SOME") == ["1.2.3", "1.2.2", "1.2.2", "1.2.3", "1.2.3"]
    send("DELETE", f"/workitems/{FILTERED}/subscribers/SOME")
    create("1.2.4", **{"00100020": "P2"})
    assert heard("SOME") == []


def test_pages_of_elsewhere_get_no_event_channel(listen):
    with pytest.raises(InvalidStatus):
        listen("WATCH", origin="http://elsewhere.example")
