"""Routes that are found, and parameters that are bound, without the framework."""

import pytest

from tests.dicomweb.builders import part10


def test_what_is_no_uid_is_named(web):
    for path in (
        "/studies/1..x",
        f"/studies/1/series/{'1' * 65}",
        "/studies/1/series/2/instances/a/frames/1",
    ):
        answer = web.get(path)
        assert answer.status_code == 400
        assert "a UID has up to 64 digits" in answer.json()["detail"]


def test_unknown_method_is_told_which_are_known(web):
    answer = web.put("/studies/1/metadata")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


def test_direct_paths_are_found_by_one_look_up(app, web, store):
    (stored,) = store(part10())
    key = stored.instance.key
    seen = []
    app.router.middleware_stack = lambda scope, *_: seen.append(scope["path"])
    web.get(f"/studies/{key.study}/metadata").raise_for_status()
    web.head(f"/studies/{key.study}/series/{key.series}/metadata").raise_for_status()
    web.get("/studies?limit=1").raise_for_status()
    assert web.get("/studies/1.2.99/metadata").json()["detail"] == "no study 1.2.99"
    assert not seen


@pytest.mark.parametrize("path", ["/studies//metadata", "/studies/1.2/metadata/", "/studies/1%2F2/metadata"])
def test_what_is_no_direct_path_is_left_to_the_framework(web, path):
    assert web.get(path, follow_redirects=True).status_code == 404
