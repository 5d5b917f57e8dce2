"""Health, metrics, headers and the interface's description on the whole application."""

import re

from isocenter.services import open_services
from isocenter.settings import load_settings
from tests.isocenter.conftest import store_ct, web_of


def test_ready_says_which_part_does_not_answer(services, web, monkeypatch):
    assert web.get("/healthz").text == "alive\n"
    assert web.get("/readyz").json() == {"ready": True}
    services.settings.objects_dir.rename(services.settings.objects_dir.with_name("gone"))
    services.settings.objects_dir.write_text("a file where the folder was")
    answer = web.get("/readyz")
    assert answer.status_code == 503
    assert "objects" in answer.json()["reason"]


def test_metrics_count_what_is_stored_and_what_works(web, store):
    store()
    text = web.get("/metrics").text
    for level in ("study", "series", "instance"):
        assert f'isocenter_stored{{level="{level}"}} 1.0' in text
    assert 'isocenter_work_items{state="IN PROGRESS"} 0.0' in text


def test_other_hosts_cannot_reach_a_loopback_server_by_rebinding(web):
    assert web.get("/healthz", headers={"Host": "evil.example"}).status_code == 400
    assert web.get("/healthz", headers={"Host": "127.0.0.1:8080"}).status_code == 200


def test_pages_carry_a_strict_policy_and_load_nothing_from_elsewhere(web, store):
    store()
    for path in ("/", "/docs"):
        answer = web.get(path)
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert not re.search(r"<script(?![^>]* src=)", answer.text)
        assert 'src="http' not in answer.text


def test_a_viewer_elsewhere_is_let_in_only_when_named(tmp_path):
    settings = load_settings(None, {}, {"data": tmp_path, "web.cors_origins": ["https://viewer.example"]})
    with open_services(settings) as services, web_of(services) as web:
        for origin, allowed in (
            ("https://viewer.example", "https://viewer.example"),
            ("https://evil.example", None),
        ):
            answer = web.get("/dicom-web/studies", headers={"Origin": origin})
            assert answer.headers.get("Access-Control-Allow-Origin") == allowed


def test_every_route_is_described(web):
    api = web.get("/openapi.json").json()
    for path in ("/dicom-web/studies", "/wado", "/healthz", "/readyz", "/metrics", "/"):
        assert path in api["paths"], path
    for path, operations in api["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path


def test_configured_base_url_is_in_the_answers(tmp_path):
    settings = load_settings(None, {}, {"data": tmp_path, "web.base_url": "https://pacs.example/"})
    with open_services(settings) as services, web_of(services) as web:
        store_ct(services)
        (study,) = web.get("/dicom-web/studies").json()
        assert study["00081190"]["Value"][0].startswith("https://pacs.example/dicom-web/studies/")
