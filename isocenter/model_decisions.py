"""Decisions on models, as commands and pages make them."""

from inference.governance import GovernedModels, Standing
from inference.governance_sql import SqlDecisions
from models.errors import CardError


def put_in_shadow(
    models: GovernedModels, decisions: SqlDecisions, name: str, version: str, *, by: str, reason: str = ""
) -> None:
    """Run a version beside the one that counts.

    Raises:
        CardError: there is no such version, or it is the one that runs.
        ModelStopped: the model does not run.
    """
    current, card = models.get(name), models.catalog.get(name, version)
    if card.version == current.version:
        raise CardError(f"{name} {version} is the version that runs: there is nothing to compare")
    decision = decisions.latest().get(name)
    if decision is None or decision.version is None:
        # Otherwise the latest version would run, whichever is added next.
        because = f"{version} runs in shadow of it"
        decisions.record(name, Standing.ENABLED, by=by, version=current.version, reason=because)
    decisions.record(name, Standing.SHADOW, by=by, version=card.version, reason=reason)
