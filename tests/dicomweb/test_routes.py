"""Parameters that the routes bind themselves."""


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
