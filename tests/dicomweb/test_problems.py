"""Every error is a problem document with the right status."""

import pytest

from dicomweb.problems import STATUS, WebError, status_of
from storage.errors import InvalidInstance, StorageDown, StorageError
from storage.pixels.errors import UndecodablePixels
from tests.dicomweb.builders import part10


def test_every_storage_error_has_a_status():
    assert set(StorageError.__subclasses__()) <= set(STATUS)


def test_an_error_below_another_has_the_nearest_status():
    assert status_of(InvalidInstance("x")) == 400
    assert status_of(UndecodablePixels("x")) == 406


def test_every_error_of_the_web_has_a_client_status():
    assert all(400 <= kind.status < 500 for kind in WebError.__subclasses__())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/no/such/route", 404),
        ("PUT", "/studies", 405),
        ("GET", "/studies/..%2f..", 404),
        ("GET", "/studies/1.2/series/1.2.1/instances/1.2.1.1/frames/x", 400),
        ("DELETE", "/studies/1.2", 404),
        ("GET", "/studies/a", 400),
    ],
)
def test_errors_are_problem_documents(web, method, path, status):
    answer = web.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


def test_storage_that_does_not_answer_asks_to_come_back(web, store, archive, caplog):
    store(part10())

    def down(*_):
        raise StorageDown("the disk does not answer")

    archive._index.search = down
    answer = web.get("/studies")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["detail"] == "the disk does not answer"
    assert "the disk does not answer" in caplog.text
