"""How a version of a model in shadow differs from the one that runs, as JSON."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query

from inference.comparison import Comparison
from webui.api.documented import problems


def comparison_router(compared: Callable[[str, datetime | None], Comparison | None]) -> APIRouter:
    """`/models/{name}/comparison`.

    Args:
        compared: takes a model's name, and from when on; None when not both versions are there.
    """
    router = APIRouter(tags=["models"])

    @router.get(
        "/models/{name}/comparison",
        summary="The version in shadow beside the one that runs",
        responses=problems(400, 404),
    )
    def comparison(
        name: Annotated[str, Path(max_length=64, description="Name of the model")],
        since: Annotated[date | None, Query(description="Only work of this day (UTC) and later")] = None,
    ) -> dict[str, Any]:
        found = compared(name, datetime.combine(since, time(), UTC) if since else None)
        if found is None:
            raise HTTPException(404, f"no version of {name} runs in shadow")
        return found.as_json()

    return router
