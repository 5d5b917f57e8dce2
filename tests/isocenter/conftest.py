"""The composition root over a temporary folder, and its HTTP application."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from isocenter.http import create_app
from isocenter.services import Services, open_services
from isocenter.settings import load_settings
from storage.instances import Accepted, Origin
from tests.storage.builders import part10, spooled
from tests.support.web import serving


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with open_services(load_settings(None, {}, {"data": tmp_path / "data"})) as opened:
        yield opened


def store_ct(services: Services, **attributes) -> Accepted:
    with services.archive.delivery(Origin("import")) as delivery:
        return delivery.ingest(spooled(services.spool, part10(**attributes)))


@contextmanager
def web_of(services: Services) -> Iterator[httpx.Client]:
    with serving(create_app(services)) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


@pytest.fixture
def store(services: Services) -> Callable[..., Accepted]:
    """Stores a CT image of the given attributes."""
    return partial(store_ct, services)


@pytest.fixture
def web(services: Services) -> Iterator[httpx.Client]:
    with web_of(services) as client:
        yield client
