"""The settings of inference: when models run, and with what."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from isocenter.routing.settings import Hours, Match, Pattern, matched
from isocenter.section import Section

EVERY = "*"


class ModelRuleSettings(Section):
    """A rule: whether, when and how urgently a model runs on series of some kind."""

    model: Annotated[str, StringConstraints(pattern=r"^(\*|[a-z0-9]+(-[a-z0-9]+)*)$", max_length=64)]
    """Name of a model, or * for every one."""
    source: tuple[Pattern, ...] = ()
    """AE titles, or user agents of STOW-RS, that brought the series, with * and ?; empty: any."""
    match: Match = Field(default_factory=dict)
    """Values by keyword, with * and ?, case ignored; all keywords must match, one value of each."""
    run: bool = True
    hours: Hours = ()
    """When it may begin, local time, e.g. `19:00-06:30`; empty: always."""
    priority: Literal["high", "medium", "low"] = "medium"

    def __str__(self) -> str:
        """The rule in words."""
        conditions = [f"from {' or '.join(self.source)}"] if self.source else []
        conditions += [f"{key} is {' or '.join(texts)}" for key, texts in matched(self.match).items()]
        hours = f", {' and '.join(self.hours)} only" if self.hours else ""
        what = f"{self.priority} priority{hours}" if self.run else "does not run"
        return f"{' and '.join(conditions) or 'anything'}: {what}"


class InferenceSettings(Section):
    """When models run, and with what."""

    enabled: bool = True
    models: tuple[Path, ...] = ()
    """Folders with further model packages."""
    models_dir: Path | None = None
    """Where `isocenter models add` puts packages, a folder that all workers see; default `<data>/models`."""
    disabled_models: tuple[str, ...] = ()
    rules: tuple[ModelRuleSettings, ...] = ()
    """When and how urgently models run on what arrives; the first that fits counts."""
    summaries: tuple[Literal["sc", "gsps"], ...] = ()
    """What results also come as: secondary captures, and presentation states, for who shows no reports."""
    settle_seconds: float = Field(default=0.5, ge=0)
    """A series is taken as complete this long after the delivery that brought it ended."""
    quiet_seconds: float = Field(default=10.0, ge=0)
    """… or when nothing more of it arrived for this long, whatever the association does."""
    resources: tuple[Literal["cpu", "gpu"], ...] = ()
    """What work the workers of this machine take; empty: `cpu`, and `gpu` where there is a graphics card."""
    threads: int = Field(default=0, ge=0)
    """Threads per model; 0 means one per core."""
    at_once: int = Field(default=3, ge=1)
    """Work items in one worker: while the model of one runs, others are read and written."""
    room_mb: int = Field(default=256, ge=1)
    """Images, as they are stored, that one worker works on at once; a work item of more is alone."""
    max_sessions: int = Field(default=8, ge=1)
    """Models that stay loaded."""
    max_memory_mb: int = Field(default=0, ge=0)
    """A worker that holds more lets go of models not used for longest before it loads another; 0: never."""
    timeout_seconds: float = Field(default=600, gt=0)
    """A model that runs longer is stopped, and its work item has failed."""
    item_seconds: float = Field(default=1800, gt=0)
    """A try at a work item that takes longer, whatever it is at, ends the worker's process."""
    lease_seconds: float = Field(default=60, gt=1)
    """A worker that is silent for this long has lost its work item to another."""
    max_attempts: int = Field(default=3, ge=1)
