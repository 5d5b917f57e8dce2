"""The built pages as files: compressed once, when they were built, and kept by browsers for good."""

from collections.abc import Callable
from mimetypes import guess_type
from pathlib import Path
from typing import Final

from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC = Path(__file__).parent / "static"
INDEX: Final = STATIC / "app" / "index.html"

_CODINGS = (("br", ".br"), ("gzip", ".gz"))
_FOR_GOOD = "public, max-age=31536000, immutable"


class CompressedFiles(StaticFiles):
    """Files of a folder in a content coding that the client takes (RFC 9110 8.4).

    Args:
        folder: where they are, with a `.br` or `.gz` beside what is worth it.
        for_good: whether the file of a path never changes, since there is a hash in its name.
    """

    def __init__(self, folder: Path, for_good: Callable[[str], bool]) -> None:
        super().__init__(directory=folder, check_dir=False)
        self._for_good = for_good

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, or its compressed twin."""
        accepted = Headers(scope=scope).get("accept-encoding", "")
        response = await self._compressed(path, accepted) or await super().get_response(path, scope)
        response.headers["Vary"] = "Accept-Encoding"
        if self._for_good(path) and response.status_code == 200:  # noqa: PLR2004 - OK
            response.headers["Cache-Control"] = _FOR_GOOD
        return response

    async def _compressed(self, path: str, accepted: str) -> Response | None:
        offered = {each.partition(";")[0].strip() for each in accepted.split(",")}
        for coding, suffix in _CODINGS:
            if coding in offered:
                full, found = await run_sync(self.lookup_path, path + suffix)
                if found:
                    media = guess_type(path)[0] or "application/octet-stream"
                    return FileResponse(
                        full, stat_result=found, media_type=media, headers={"Content-Encoding": coding}
                    )
        return None


def client_files() -> CompressedFiles:
    """What lies below `static`."""
    return CompressedFiles(STATIC, lambda path: path.startswith("app/assets/"))
