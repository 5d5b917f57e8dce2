"""How a model is run."""

from typing import Annotated, Literal

from pydantic import Field

from models.schema.base import Positive, Table

Resource = Literal["cpu", "gpu"]


class Running(Table):
    """`[runtime]`: how the model is run."""

    resource: Resource = "cpu"
    """`gpu`: only workers with a graphics card take its work. `cpu`: any worker; one that has a graphics
    card uses it."""
    threads: Annotated[int, Field(ge=0)] = 0
    """Of one run on the CPU; 0: as the settings say."""
    max_batch: Annotated[int, Field(ge=1, le=256)] = 1
    """So many inputs of the same shape may run at once, along a free first axis of each input and output.
    Answers must be those of single runs, byte for byte: a model whose are not runs without batches.
    Work on single images that waits is then carried out so many items at a time."""
    timeout_seconds: Positive | None = None
    """A run that takes longer is stopped; the limit of the settings counts as well."""
