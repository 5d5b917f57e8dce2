"""Deletion over the web: allowed or not."""

import pytest

from tests.dicomweb.builders import part10

STUDY = "/studies/1.2"
INSTANCE = f"{STUDY}/series/1.2.1/instances/1.2.1.1"


@pytest.mark.parametrize("path", [STUDY, f"{STUDY}/series/1.2.1", INSTANCE])
def test_each_level_can_be_deleted(web, store, path):
    store(part10())
    assert web.delete(path).status_code == 204
    assert web.get(STUDY).status_code == 404


def test_deletion_can_be_switched_off(make_web, store):
    store(part10())
    web = make_web(deletion=False)
    answer = web.delete(STUDY)
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    assert web.get(STUDY).status_code == 200
