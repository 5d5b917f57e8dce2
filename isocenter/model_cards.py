"""The cards of the models as the pages show them."""

from collections.abc import Iterator

from inference.governance import GovernedModels, Standing
from inference.governance_sql import SqlDecisions
from isocenter.model_decisions import put_in_shadow
from models.card import Card
from models.errors import ModelsError
from models.schema.outputs import BoxesOutput, PointsOutput, ScoresOutput
from webui.api.models import Decide, ImpossibleDecision, ModelCard


def model_cards(models: GovernedModels) -> list[ModelCard]:
    """Every model: the version that runs, or the latest of one that does not."""
    running = {card.name: card for card in models.cards()}
    shadows = {card.name: card.version for card in models.shadows()}
    versions = [(card.name, card.version) for card in models.catalog.versions()]
    return [
        _shown(
            running.get(card.name, card),
            models.why_stopped(card.name),
            shadows.get(card.name),
            tuple(version for name, version in versions if name == card.name),
        )
        for card in models.catalog.cards()
    ]


def deciding(models: GovernedModels, decisions: SqlDecisions) -> Decide:
    """What decides on a model; where no version is named, on that which was chosen last."""

    def decide(name: str, standing: Standing, version: str | None, by: str, reason: str) -> None:
        if standing is Standing.SHADOW and version is not None:
            return put_in_shadow(models, decisions, name, version, by=by, reason=reason)
        if version is not None:
            version = models.catalog.get(name, version).version
        elif standing is not Standing.SHADOW:
            chosen = models.chosen(name, decisions.latest().get(name))
            version = chosen.version if chosen else None
        decisions.record(name, standing, by=by, version=version, reason=reason)
        return None

    def decided(name: str, standing: Standing, version: str | None, by: str, reason: str) -> None:
        try:
            decide(name, standing, version, by, reason)
        except ModelsError as error:
            raise ImpossibleDecision(str(error)) from error

    return decided


def _shown(card: Card, stopped: str | None, shadow: str | None, versions: tuple[str, ...]) -> ModelCard:
    readme = card.folder / "README.md"
    return ModelCard(
        name=card.name,
        version=card.version,
        title=card.title,
        manufacturer=card.manufacturer,
        task=card.task,
        intended_use=card.intended_use,
        not_for=tuple(card.not_for),
        licence=card.licence,
        origin=card.origin,
        digest=card.model.sha256,
        card_digest=card.digest,
        thresholds=dict(_thresholds(card)),
        quality_floor=card.quality.floor if card.quality else None,
        stopped=stopped,
        shadow=shadow,
        inputs=tuple(image.in_words for image in card.images if len(card.images) > 1),
        versions=versions,
        readme=readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else "",
    )


def _thresholds(card: Card) -> Iterator[tuple[str, float]]:
    for output in card.outputs:
        if isinstance(output, ScoresOutput):
            yield from ((label.label, label.threshold) for label in output.labels if label.finding)
        elif isinstance(output, BoxesOutput):
            yield from ((each.code.meaning, each.threshold) for each in output.classes)
        elif isinstance(output, PointsOutput):
            yield output.code.meaning, output.threshold
