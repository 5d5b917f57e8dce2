"""The pages as files: the client where it is built, and what is said where it is not."""

import re

import pytest

import webui.pages
from tests.conftest import missing
from tests.storage.builders import STUDY
from webui.client_files import INDEX


@pytest.fixture
def built():
    """The pages, built."""
    if not INDEX.is_file():
        missing("THE PAGES ARE NOT BUILT: run `make client`")


@pytest.mark.parametrize("path", ["/", f"/studies/{STUDY}"])
def test_a_page_that_is_not_built_says_how_to_build_it(empty_web, monkeypatch, tmp_path, path):
    monkeypatch.setattr(webui.pages, "INDEX", tmp_path / "index.html")
    answer = empty_web.get(path)
    assert answer.status_code == 503
    assert "make client" in answer.text


@pytest.mark.parametrize("path", ["/", f"/studies/{STUDY}"])
def test_the_client_is_served_at_the_addresses_of_its_pages(empty_web, built, path):
    answer = empty_web.get(path)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "<script>" not in answer.text
    assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]
    for asset in assets(answer.text):
        assert empty_web.get(asset).status_code == 200


def assets(page: str) -> list[str]:
    found = re.findall(r'"(/static/app/assets/[^"]+)"', page)
    assert found
    return found


@pytest.mark.parametrize(
    ("accepted", "coding"), [("gzip, deflate", "gzip"), ("br", "br"), ("identity", None)]
)
def test_assets_are_compressed_once_and_kept_for_good(empty_web, built, accepted, coding):
    script = next(each for each in assets(empty_web.get("/").text) if each.endswith(".js"))
    answer = empty_web.get(script, headers={"Accept-Encoding": accepted})
    assert answer.headers.get("Content-Encoding") == coding
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Vary"] == "Accept-Encoding"


def test_the_first_page_is_small_before_the_viewer_loads(empty_web, built):
    files = assets(empty_web.get("/").text)
    gzip = {"Accept-Encoding": "gzip"}
    sizes = [int(empty_web.get(each, headers=gzip).headers["Content-Length"]) for each in files]
    assert sum(sizes) < 100_000


def test_interface_page_lists_every_route(empty_web):
    text = empty_web.get("/docs").text
    for path in empty_web.get("/openapi.json").json()["paths"]:
        assert path in text
