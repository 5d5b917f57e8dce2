"""Retrieve Capabilities (PS3.18 8.9): what this service does, as WADL, from the same source as OpenAPI."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import quoteattr

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dicomweb.documented import Accepting, Responses, found, get, problems
from dicomweb.media_types import JSON, Offer
from dicomweb.urls import ServiceUrl

WADL = "application/vnd.sun.wadl+xml"
NAMESPACE = "http://wadl.dev.java.net/2009/02"
_OFFERS = [Offer(WADL), Offer(JSON)]
_RESPONSES: Responses = {
    200: found("The resources, their methods, parameters and representations", WADL, JSON),
    **problems(400, 406),
}

Element = dict[str, Any]
"""A WADL element: attributes are text, children lists by their name."""


def add_capabilities(router: APIRouter, base_url: str | None) -> None:
    """The capabilities of the service, at its base."""

    def capabilities(request: Request, accept: Accepting) -> Response:
        media = accept.choose(_OFFERS).media
        base = ServiceUrl.of(request, base_url).base
        root = request.url.path.removeprefix(request.scope.get("root_path", "")).rstrip("/")
        application = describe(request.app.openapi(), root, base)
        body = write_wadl(application) if media == WADL else json.dumps({"application": application}).encode()
        return Response(body, media_type=media)

    get(router, "/", "What this service does", _RESPONSES)(capabilities)
    router.add_api_route(
        "/",
        capabilities,
        methods=["OPTIONS"],
        summary="Retrieve capabilities",
        responses=_RESPONSES,
        response_class=Response,
    )


def describe(document: Mapping[str, Any], root: str, base: str) -> Element:
    """The WADL application of the operations below a path.

    Args:
        document: an OpenAPI document.
        root: path of the service in it, without a slash at its end.
        base: address of the service as clients see it.
    """
    top: Element = {"path": "/"}
    for path, operations in document["paths"].items():
        if path.startswith(f"{root}/"):
            resource = _resource(top, path.removeprefix(root).strip("/"))
            for method, operation in operations.items():
                resource.setdefault("method", []).append(_method(method, operation))
    top["resource"] = sorted(top.get("resource", []), key=lambda each: str(each["path"]))
    return {"resources": [{"base": f"{base}/", "resource": [top]}]}


def _resource(parent: Element, path: str) -> Element:
    """The resource under a path, made with its parents where it is not there yet."""
    step, _, rest = path.partition("/")
    if not step:
        return parent
    children = parent.setdefault("resource", [])
    child = next((each for each in children if each["path"] == step), None)
    if child is None:
        child = {"path": step}
        if step.startswith("{"):
            child["param"] = [{"name": step.strip("{}"), "style": "template", "required": "true"}]
        children.append(child)
    return _resource(child, rest)


def _method(method: str, operation: Mapping[str, Any]) -> Element:
    bodies = operation.get("requestBody", {}).get("content", {})
    request: Element = {
        "param": [_parameter(each) for each in operation.get("parameters", []) if each["in"] == "query"],
        "representation": [{"mediaType": media} for media in bodies],
    }
    return {
        "name": method.upper(),
        "id": operation["operationId"],
        "doc": [{"title": operation["summary"]}],
        "request": [{name: children for name, children in request.items() if children}],
        "response": [_response(status, each) for status, each in operation["responses"].items()],
    }


def _parameter(parameter: Mapping[str, Any]) -> Element:
    kind = str(parameter.get("schema", {}).get("type", "string"))
    title = parameter.get("description")
    described: Element = {"doc": [{"title": title}]} if title else {}
    return {"name": parameter["name"], "style": "query", "type": f"xsd:{kind}"} | described


def _response(status: str, response: Mapping[str, Any]) -> Element:
    # WADL has numbers only; 4XX stands for what any request may meet.
    numbered: Element = {"status": status} if status.isdigit() else {}
    media = [{"mediaType": each} for each in response.get("content", {})]
    described: Element = {"doc": [{"title": response["description"]}]}
    return numbered | described | ({"representation": media} if media else {})


def write_wadl(application: Element) -> bytes:
    """The XML document of a WADL application."""
    names = {"xmlns": NAMESPACE, "xmlns:xsd": "http://www.w3.org/2001/XMLSchema"}
    text = "".join(_written("application", names | application))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()


def _written(name: str, element: Element) -> Iterator[str]:
    attributes = {key: value for key, value in element.items() if not isinstance(value, list)}
    yield f"<{name}"
    yield from (f" {key}={quoteattr(str(value))}" for key, value in attributes.items())
    yield ">"
    # The schema wants documentation first, then parameters.
    for key in ("doc", "param", "request", "response", "resources", "method", "representation", "resource"):
        for child in element.get(key, ()):
            yield from _written(key, child)
    yield f"</{name}>"
