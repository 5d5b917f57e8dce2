"""The figures of quality as JSON."""

from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Query

from inference.quality import Drift, Figures
from webui.api.documented import problems


class Quality(Protocol):
    """Where the figures are counted."""

    def totals(self, model: str | None = None, since: datetime | None = None) -> tuple[Figures, ...]: ...

    def by_scanner(self, model: str | None = None, since: datetime | None = None) -> tuple[Figures, ...]: ...

    def drift(self, model: str | None = None, since: datetime | None = None) -> tuple[Drift, ...]: ...


def quality_router(quality: Quality) -> APIRouter:
    """`/quality`: agreement, acceptance, counts, latency, drift."""
    router = APIRouter(tags=["quality"])

    @router.get(
        "/quality",
        summary="How often models are right, per version, scanner and month; how their inputs drift",
        responses=problems(400),
    )
    def figures(
        model: Annotated[str | None, Query(max_length=64, description="Name of one model")] = None,
        since: Annotated[date | None, Query(description="Reports from this day on, YYYY-MM-DD")] = None,
    ) -> dict[str, Any]:
        begin = datetime.combine(since, time(), UTC) if since else None
        return {
            "models": [_figures(each) for each in quality.totals(model, begin)],
            "scanners": [
                _figures(each)
                | {"manufacturer": each.manufacturer, "scanner": each.scanner, "month": each.month}
                for each in quality.by_scanner(model, begin)
            ],
            "drift": [
                {
                    "model": each.model,
                    "version": each.version,
                    "month": each.month,
                    "histograms": {name: dict(bins) for name, bins in each.histograms.items()},
                }
                for each in quality.drift(model, begin)
            ],
        }

    return router


def _figures(figures: Figures) -> dict[str, Any]:
    said = figures.verdicts
    return {
        "model": figures.model,
        "version": figures.version,
        "results": figures.results,
        "findings": figures.findings,
        "judged": said.judged,
        "accepted": said.accepted,
        "corrected": said.corrected,
        "rejected": said.rejected,
        "missed": said.missed,
        "acceptance": said.acceptance,
        "agreement": said.agreement,
        "latency_seconds": figures.latency,
    }
