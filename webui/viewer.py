"""The OHIF viewer at `/viewer`, where it is installed: its built pages, and their configuration."""

import hashlib
import json
import re
from base64 import b64encode
from pathlib import Path, PurePosixPath
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import Scope

from webui.client_files import CompressedFiles

PREFIX = "/viewer"
"""Where the viewer is served; its installation writes this into its files."""

_NOT_INSTALLED = "OHIF is not installed here. Install it with `isocenter viewer install`.\n"
_HASHED = re.compile(r"[.]bundle[.][0-9a-f]{16}[.]js$|(^|/)[0-9a-f]{16}[.](wasm|woff2)$")
_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
# What differs from the other pages: its own inline scripts, by their hashes; functions that it makes of text
# to read segmentations; styles that its components write; workers and pictures that it makes itself.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval' {hashes}; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "media-src 'self' blob:; connect-src 'self' data: blob:; object-src 'self' blob:; "
    "frame-src 'self' blob:; base-uri 'none'; frame-ancestors 'self'"
)
_SOURCE = {
    "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
    "sourceName": "isocenter",
    "configuration": {
        "friendlyName": "Isocenter",
        "name": "isocenter",
        "imageRendering": "wadors",
        "thumbnailRendering": "thumbnail",
        "thumbnailRequestStrategy": "fetch",
        "enableStudyLazyLoad": True,
        "supportsFuzzyMatching": True,
        "supportsWildcard": True,
        "supportsStow": True,
        "qidoSupportsIncludeField": True,
        "dicomUploadEnabled": True,
        "singlepart": "bulkdata,video,pdf",
        "bulkDataURI": {"enabled": True},
        "omitQuotationForMultipartRequest": True,
    },
}
_CONFIGURATION: dict[str, Any] = {
    "name": "isocenter",
    "routerBasename": PREFIX,
    "extensions": [],
    "modes": [],
    "customizationService": {},
    "showStudyList": True,
    "maxNumberOfWebWorkers": 3,
    "showCPUFallbackMessage": True,
    "showLoadingIndicator": True,
    "strictZSpacingForVolumeViewport": True,
    "groupEnabledModesFirst": True,
    "investigationalUseDialog": {"option": "never"},
    "maxNumRequests": {"interaction": 100, "thumbnail": 5, "prefetch": 25},
    "defaultDataSourceName": "isocenter",
    "dataSources": [_SOURCE],
}
# Absolute addresses, which the viewer wants, without knowing under which name it is reached.
_SCRIPT = f"""window.config = {json.dumps(_CONFIGURATION)};
Object.assign(window.config.dataSources[0].configuration, {{
  qidoRoot: location.origin + '/dicom-web',
  wadoRoot: location.origin + '/dicom-web',
  wadoUriRoot: location.origin + '/wado',
}});
"""


class ViewerFiles(CompressedFiles):
    """The viewer in `folder`, which may come and go while this runs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, lambda path: _HASHED.search(path) is not None)
        self._index = folder / "index.html"

    async def check_config(self) -> None:
        """Where there is no folder, the answer says how to get one."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file, the configuration, or the page that reads the rest of the address itself."""
        if path == "app-config.js":
            return Response(_SCRIPT, media_type="text/javascript", headers={"Cache-Control": "no-cache"})
        page = await run_sync(self._page)
        if page is None:
            return PlainTextResponse(_NOT_INSTALLED, status_code=404)
        response = await self._file(path, scope) or HTMLResponse(page, headers={"Cache-Control": "no-cache"})
        response.headers["Content-Security-Policy"] = _policy(page)
        return response

    def _page(self) -> str | None:
        try:
            return self._index.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    async def _file(self, path: str, scope: Scope) -> Response | None:
        if path in {".", "index.html"}:
            return None
        try:
            return await super().get_response(path, scope)
        except HTTPException:
            if PurePosixPath(path).suffix:
                raise
            return None


def viewers_router(folder: Path) -> APIRouter:
    """`/viewers`: which other viewers open a study."""
    router = APIRouter(tags=["pages"])

    @router.get("/viewers", summary="Viewers that this server has; null where one is not installed")
    def viewers() -> dict[str, str | None]:
        is_there = (folder / "index.html").is_file()
        return {"ohif": f"{PREFIX}/viewer?StudyInstanceUIDs=" if is_there else None}

    return router


def _policy(page: str) -> str:
    digests = (hashlib.sha256(script.encode()).digest() for script in _INLINE_SCRIPT.findall(page))
    return _POLICY.format(hashes=" ".join(f"'sha256-{b64encode(each).decode()}'" for each in digests))
