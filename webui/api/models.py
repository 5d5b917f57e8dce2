"""The models as cards for people."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path

from webui.api.documented import problems


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a reader may want to know of a model before believing it."""

    name: str
    version: str
    title: str
    manufacturer: str
    task: str
    intended_use: str
    not_for: tuple[str, ...]
    licence: str
    origin: str
    digest: str
    """SHA-256 (hex) of the model file."""
    card_digest: str
    thresholds: dict[str, float]
    """Scores from which something counts as found, by what is looked for."""
    quality_floor: float | None
    stopped: str | None
    """Why it does not run; None when it does."""
    readme: str
    """Markdown."""


def models_router(cards: Callable[[], Sequence[ModelCard]]) -> APIRouter:
    """`/models`; `cards` gives every model that is there, in the version that runs."""
    router = APIRouter(tags=["models"])

    @router.get("/models", summary="The models of this installation", responses=problems())
    def every() -> dict[str, Any]:
        named = ("name", "version", "title", "task", "intended_use", "stopped")
        return {"models": [{name: getattr(card, name) for name in named} for card in cards()]}

    @router.get(
        "/models/{name}", summary="What a model is for, and what it is not for", responses=problems(400, 404)
    )
    def one(name: Annotated[str, Path(max_length=64, description="Name of the model")]) -> dict[str, Any]:
        card = next((each for each in cards() if each.name == name), None)
        if card is None:
            raise HTTPException(404, f"no model is called {name}")
        return asdict(card)

    return router
