"""QIDO-RS (PS3.18 10.6): search for studies, series and instances."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydicom.datadict import keyword_for_tag

from dicomweb.documented import SERIES, STUDY, Accepting, Endpoint, Responses, found, get, problems
from dicomweb.finding_search import (
    MOST_STUDIES,
    OPTIONS,
    Findings,
    FindingSearch,
    Option,
    among,
    read_findings,
)
from dicomweb.media_types import DICOM_JSON, DICOM_XML, JSON, Offer
from dicomweb.multipart import multipart_type, new_boundary, write_multipart
from dicomweb.search_parameters import read_query
from dicomweb.urls import ServiceUrl
from dicomweb.xml import write_xml
from storage.archive import Archive
from storage.search import ATTRIBUTES, LEVELS, Level, Page, Query

_OFFERS = [Offer(DICOM_JSON), Offer(JSON), Offer(DICOM_XML, multipart=True)]
_MATCHING = {
    "DA": "A date YYYYMMDD, or a range of dates YYYYMMDD-YYYYMMDD, open at one end or not",
    "TM": "A time HHMMSS, or a range of times HHMMSS-HHMMSS, open at one end or not",
    "UI": "One or several UIDs, separated by commas",
    "PN": "A name; wild cards * and ? are taken, and case does not matter",
    "IS": "A number",
    "US": "A number",
    "CS": "One or several codes, separated by commas; wild cards * and ? are taken",
}
_TEXT = "Text; wild cards * and ? are taken"
SEARCH_OPTIONS: list[Option] = [
    (
        "includefield",
        "Attributes beyond the required ones, by commas, or `all`; private ones with `00290010=CREATOR`",
        {"type": "string"},
    ),
    (
        "fuzzymatching",
        "Match person names by the beginnings of their words, too",
        {"type": "boolean", "default": False},
    ),
    ("multiplevaluematching", "Several values always match any of them", {"type": "boolean"}),
    ("emptyvaluematching", '`""` always matches what has no value', {"type": "boolean"}),
    ("limit", "At most so many results", {"type": "integer", "minimum": 0}),
    ("offset", "Results to pass over", {"type": "integer", "minimum": 0, "default": 0}),
]
_RESOURCES: list[tuple[Level, str, str]] = [
    ("study", "/studies", "Search for studies"),
    ("series", "/series", "Search for series"),
    ("instance", "/instances", "Search for instances"),
    ("series", f"{STUDY}/series", "Search for series of a study"),
    ("instance", f"{STUDY}/instances", "Search for instances of a study"),
    ("instance", f"{SERIES}/instances", "Search for instances of a series"),
]


def add_search(
    router: APIRouter, archive: Archive, base_url: str | None, findings: FindingSearch | None = None
) -> None:
    """The search transactions, for all studies and below one; by findings where there are any."""

    def answer_to(query: Query, asked: Findings | None) -> Page:
        if asked is None or findings is None:
            return archive.search(query)
        studies = findings.studies_with(asked, MOST_STUDIES + 1)
        page = archive.search(among(query, studies[:MOST_STUDIES])) if studies else Page((), more=False)
        return Page(page.texts, more=page.more or len(studies) > MOST_STUDIES)

    def searching(level: Level) -> Endpoint:
        def search(request: Request, accept: Accepting) -> Response:
            media = accept.choose(_OFFERS).media
            parameters = request.query_params.multi_items()
            asked, parameters = read_findings(parameters) if findings else (None, parameters)
            query = read_query(parameters, level, **request.path_params)
            url = ServiceUrl.of(request, base_url)
            page = answer_to(replace(query, retrieve_base=url.base), asked)
            headers = more_results(url) if page.more else None
            return results_xml(page, headers) if media == DICOM_XML else results_json(page, headers, media)

        search.__name__ = f"search_{level}"
        return search

    own = OPTIONS if findings else []
    for level, path, summary in _RESOURCES:
        get(router, path, summary, _responses(), openapi_extra=_documented(level, path, own))(
            searching(level)
        )


def results_json(page: Page, headers: dict[str, str] | None, media: str) -> Response:
    """The results of a search in JSON."""
    body = f"[{','.join(page.texts)}]"
    return Response(body.encode("utf-8", "replace"), headers=headers, media_type=media)


def results_xml(page: Page, headers: dict[str, str] | None) -> Response:
    """A part for each result (PS3.18 10.6.3.3); there is no multipart body without any."""
    if not page.texts:
        return Response(status_code=204, headers=headers)
    boundary = new_boundary()
    body = b"".join(write_multipart(((DICOM_XML, [write_xml(each)]) for each in page.answers), boundary))
    return Response(body, headers=headers, media_type=multipart_type(DICOM_XML, boundary))


def _responses() -> Responses:
    headers = {"Warning": {"description": "299: there are more results", "schema": {"type": "string"}}}
    # No result is an empty list: so PS3.18 10.6.3 since 2026; up to 2025 it was 204 without a body.
    xml = f'multipart/related; type="{DICOM_XML}"'
    results = found("The results, an empty list when there are none", DICOM_JSON, JSON, xml, headers=headers)
    return {200: results, 204: {"description": "No result, where XML is wanted"}} | problems(400, 406, 413)


def query_parameters(options: Iterable[Option]) -> list[dict[str, Any]]:
    """The documentation of query parameters."""
    return [
        {"in": "query", "name": name, "required": False, "description": text, "schema": schema}
        for name, text, schema in options
    ]


def _documented(level: Level, path: str, own: list[Option]) -> dict[str, Any]:
    levels = LEVELS[: LEVELS.index(level) + 1]
    keys = [(each.tag, each.vr) for each in ATTRIBUTES if each.matched and each.level in levels]
    named = [key_parameter(tag, vr) for tag, vr in keys]
    parameters = query_parameters((*named, *SEARCH_OPTIONS, *own))
    for kind, meaning in (("series", "Series Instance UID"), ("study", "Study Instance UID")):
        if f"{{{kind}}}" in path:
            uid = {"in": "path", "name": kind, "required": True, "description": meaning}
            parameters.insert(0, {**uid, "schema": {"type": "string"}})
    return {"parameters": parameters}


def key_parameter(tag: str, vr: str) -> Option:
    """What is said of a key that searches by an attribute."""
    return _name(tag), _MATCHING.get(vr, _TEXT), {"type": "string"}


def _name(tag: str) -> str:
    """How a query names the attribute: keywords joined by dots into sequences."""
    return ".".join(keyword_for_tag(int(step, 16)) for step in tag.split("."))


def more_results(url: ServiceUrl) -> dict[str, str]:
    """The headers of an answer that is not all there is (PS3.18 8.3.4.4.1)."""
    return {"Warning": f"299 {url.base}: There are additional results that can be requested"}
