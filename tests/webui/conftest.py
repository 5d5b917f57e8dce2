"""The fixtures of the whole application: pages are tested where users meet them."""

import httpx
import pytest
from playwright.sync_api import sync_playwright

from isocenter.http import create_app
from isocenter.services import open_services
from isocenter.settings import load_settings
from sample_studies.samples import ensure_sample
from storage.instances import Origin
from tests.conftest import missing
from tests.end_to_end.conftest import samples
from tests.isocenter.conftest import services, store, web, web_of
from tests.storage.builders import spooled
from tests.support.web import serving
from tests.webui.browser import chromium
from tests.webui.reading import study_of
from webui.client_files import INDEX

__all__ = ["samples", "services", "store", "web"]


@pytest.fixture(scope="module")
def empty_web(tmp_path_factory):
    """A client of an archive that holds nothing; tests leave it so."""
    data = tmp_path_factory.mktemp("empty") / "data"
    with open_services(load_settings(None, {}, {"data": data})) as services, web_of(services) as client:
        yield client


@pytest.fixture(scope="module")
def playwright():
    if not INDEX.is_file():
        missing("THE PAGES ARE NOT BUILT: run `make client`")
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="module")
def browser(playwright):
    with chromium(playwright) as opened:
        yield opened


@pytest.fixture(scope="session")
def analysed(tmp_path_factory, samples):
    """The archive with the sample chest CT, and what the models found in it."""
    given = {"data": tmp_path_factory.mktemp("reader") / "data", "inference.settle_seconds": 0}
    with open_services(load_settings(None, {}, given)) as services:
        with services.archive.delivery(Origin("import")) as delivery:
            for path in ensure_sample("red-triangle", samples):
                delivery.ingest(spooled(services.spool, path.read_bytes()))
        services.triggers().poll()
        pipeline = services.pipeline()
        for uid in services.work.due():
            assert pipeline.run(uid).results
        yield services


@pytest.fixture(scope="module")
def address(analysed):
    with serving(create_app(analysed)) as address:
        yield address


@pytest.fixture
def as_before(analysed, address):
    """Takes back what a test said, so that the next reader finds the study as the models left it."""
    yield
    study = study_of(analysed)
    path = f"{address}/api/studies/{study}/findings"
    for finding in httpx.get(path, timeout=30).json()["findings"]:
        if finding["review"]:
            url = f"{path}/{finding['id']}/reviews/{finding['review']['id']}"
            assert httpx.request("DELETE", url, json={"reviewer": {"name": "Test"}}, timeout=30).is_success
