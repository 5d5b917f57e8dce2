"""What the sections of the settings are made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Port = Annotated[int, Field(ge=0, le=65535)]
AETitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[\x20-\x5b\x5d-\x7e]+$")]


class Section(BaseModel):
    """A part of the settings: read once, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
