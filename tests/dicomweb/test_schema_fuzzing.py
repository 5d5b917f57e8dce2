"""Requests made up from the description of the interface: none makes a server error."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.dicomweb.builders import part10

BOUNDED = settings(
    max_examples=150,
    deadline=None,
    phases=[Phase.generate],
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
ENDLESS = "text/event-stream"


@pytest.fixture
def operations(app):
    schema = schemathesis.openapi.from_dict(app.openapi())
    return [found.ok() for found in schema.get_all_operations() if found.ok().path.startswith("/dicom-web")]


def test_no_request_that_fits_the_description_makes_a_server_error(app, web, store, operations):
    store(part10())
    assert len(operations) > 25

    @BOUNDED
    @given(data=st.data())
    def answered(data):
        case = data.draw(data.draw(st.sampled_from(operations)).as_strategy())
        sent = case.as_transport_kwargs(base_url=str(web.base_url).removesuffix("/dicom-web/"))
        if ENDLESS in str(sent["headers"]):
            return
        if isinstance(sent.get("data"), bytes | str):
            sent["content"] = sent.pop("data")
        allowed = {"method", "url", "params", "headers", "json", "data", "content", "files"}
        request = {name: value for name, value in sent.items() if name in allowed}
        assert web.request(**request).status_code < 500, request

    answered()
