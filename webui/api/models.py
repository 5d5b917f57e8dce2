"""The models as cards for people."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from inference.governance import Standing
from webui.api.documented import problems
from webui.api.json_route import JsonRoute
from webui.api.reviewer import Identify, ReviewerBody

_Name = Annotated[str, Path(max_length=64, description="Name of the model")]
Decide = Callable[[str, Standing, str | None, str, str], None]
"""Takes a model's name, how it stands from now on, in which version (None: that which was chosen last, and
none in shadow), who says so, and why. Raises `ImpossibleDecision`."""


class ImpossibleDecision(Exception):
    """There is no such version, or it cannot stand so; the message says why."""


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
    shadow: str | None = None
    """The version that runs beside it, and whose results nobody sees; None where there is none."""
    inputs: tuple[str, ...] = ()
    """What it compares, where it takes several series or a prior."""
    versions: tuple[str, ...] = ()
    """Those that are installed, the oldest first."""


class DecisionBody(BaseModel):
    """Who decides, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reviewer: ReviewerBody | None = None
    reason: Annotated[str, Field(max_length=1024)] = ""
    version: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """Where it is not the one that was chosen last."""


def models_router(cards: Callable[[], Sequence[ModelCard]], decide: Decide, identify: Identify) -> APIRouter:
    """`/models`.

    Args:
        cards: gives every model that is there, in the version that runs.
        decide: lets a model run, or stops it.
        identify: who decides.
    """
    router = APIRouter(tags=["models"], route_class=JsonRoute)

    @router.get("/models", summary="The models of this installation", responses=problems())
    def every() -> dict[str, Any]:
        named = ("name", "version", "title", "task", "intended_use", "stopped", "shadow", "versions")
        return {"models": [{name: getattr(card, name) for name in named} for card in cards()]}

    @router.get(
        "/models/{name}", summary="What a model is for, and what it is not for", responses=problems(400, 404)
    )
    def one(name: _Name) -> dict[str, Any]:
        return asdict(_known(cards(), name))

    def decided(name: str, standing: Standing, body: DecisionBody, request: Request) -> dict[str, Any]:
        _known(cards(), name)
        reviewer = identify.reviewer(request, body.reviewer)
        try:
            decide(name, standing, body.version, reviewer.id or reviewer.name, body.reason)
        except ImpossibleDecision as error:
            raise HTTPException(409, str(error)) from error
        return asdict(_known(cards(), name))

    refused = problems(400, 401, 403, 404, 409, 413, 415)

    @router.post("/models/{name}/enable", summary="Let a model run on what arrives", responses=refused)
    def enable(name: _Name, body: DecisionBody, request: Request) -> dict[str, Any]:
        return decided(name, Standing.ENABLED, body, request)

    @router.post("/models/{name}/disable", summary="Stop a model; its results stay", responses=refused)
    def disable(name: _Name, body: DecisionBody, request: Request) -> dict[str, Any]:
        return decided(name, Standing.DISABLED, body, request)

    @router.post(
        "/models/{name}/shadow",
        summary="Run a version beside the one that counts, for comparison alone; without a version none",
        responses=refused,
    )
    def shadow(name: _Name, body: DecisionBody, request: Request) -> dict[str, Any]:
        return decided(name, Standing.SHADOW, body, request)

    return router


def _known(cards: Sequence[ModelCard], name: str) -> ModelCard:
    card = next((each for each in cards if each.name == name), None)
    if card is None:
        raise HTTPException(404, f"no model is called {name}")
    return card
