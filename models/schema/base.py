"""What all tables of a card share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1)]
Byte = Annotated[int, Field(ge=0, le=255)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
TensorIndex = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]


class Table(BaseModel):
    """A table of the card: unknown keys are errors, values do not change."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class CodeValue(Table):
    """A coded concept (PS3.3 8.8): `{ value = "39607008", scheme = "SCT", meaning = "Lung" }`."""

    value: Text
    scheme: Text
    meaning: Annotated[str, Field(min_length=1, max_length=64)]
