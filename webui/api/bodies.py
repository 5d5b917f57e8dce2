"""What requests of the review interface say."""

from typing import Annotated, Literal, Self

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator, model_validator

from inference.findings import Code, Measurement
from inference.naming import finding_code, measured_code, unit_code
from inference.records import FindingRecord, Region
from inference.reviewing import MOST_POINTS, region_from
from inference.reviews import Correction, InvalidReview
from webui.api.reviewer import ReviewerBody

MOST_MEASUREMENTS = 32
Uid = Annotated[str, Field(pattern=r"^[0-9.]{1,64}$")]
Text = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\\]+$")]
Comment = Annotated[str, Field(max_length=4096, pattern=r"^[^\x00]*$")]


class Body(BaseModel):
    """A part of a request: unknown members are refused."""

    model_config = ConfigDict(extra="forbid")


class CodeBody(Body):
    """A coded concept (Code Sequence Macro, PS3.3 8.8)."""

    value: Annotated[str, Field(min_length=1, max_length=16)]
    scheme: Annotated[str, Field(min_length=1, max_length=16)]
    meaning: Text

    def code(self) -> Code:
        """The code as a value."""
        return Code(self.value, self.scheme, self.meaning)


class MeasurementBody(Body):
    """A number with the name of what is measured and its UCUM unit."""

    name: Text
    value: FiniteFloat
    unit: Annotated[str, Field(max_length=16)] = ""

    @field_validator("unit")
    @classmethod
    def _is_unit(cls, value: str) -> str:
        unit_code(value)
        return value

    def measurement(self, known: tuple[Measurement, ...] = ()) -> Measurement:
        """The measurement, with the codes of the one in `known` that has this name."""
        same = (each for each in known if each.concept.meaning.casefold() == self.name.casefold())
        before = next(same, None)
        if before is None:
            return Measurement(measured_code(self.name, ()), self.value, unit_code(self.unit))
        unit = before.unit if self.unit in {"", before.unit.value} else unit_code(self.unit)
        return Measurement(before.concept, self.value, unit, before.derivation, before.method)


class RegionBody(Body):
    """A place on one frame of one image."""

    sop_uid: Uid
    frame: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    kind: Literal["box", "point", "polygon", "line"]
    points: Annotated[list[tuple[FiniteFloat, FiniteFloat]], Field(min_length=1, max_length=MOST_POINTS)]
    """Column and row in pixels, 0.0 being the outer edge of the first (PS3.3 C.18.6.1.1): one for a point,
    two opposite corners of a box."""

    def region(self) -> Region:
        """The region as a value."""
        try:
            return region_from(self.kind, self.sop_uid, self.frame, self.points)
        except InvalidReview as error:
            raise HTTPException(400, str(error)) from None


class CorrectedBody(Body):
    """What is different from the finding."""

    label: Text | None = None
    code: CodeBody | None = None
    measurements: Annotated[list[MeasurementBody], Field(max_length=MOST_MEASUREMENTS)] | None = None
    """Those named here take the place of those of the same name; the others stay."""
    region: RegionBody | None = None

    def correction(self, record: FindingRecord, known: list[Code]) -> Correction:
        """The correction of `record`; `known` are codes that a label may name."""
        code = self.code.code() if self.code else finding_code(self.label, known) if self.label else None
        return Correction(
            code, self._measurements(record), self.region.region() if self.region is not None else None
        )

    def _measurements(self, record: FindingRecord) -> tuple[Measurement, ...] | None:
        if self.measurements is None:
            return None
        new = [each.measurement(record.measurements) for each in self.measurements]
        named = {each.concept for each in new}
        return (*(each for each in record.measurements if each.concept not in named), *new)


class ReviewBody(Body):
    """A verdict on a finding."""

    verdict: Literal["accept", "reject", "correct"]
    comment: Comment = ""
    corrected: CorrectedBody | None = None
    reviewer: ReviewerBody | None = None


class FindingBody(Body):
    """A finding that a person made."""

    series_uid: Uid
    label: Text | None = None
    code: CodeBody | None = None
    region: RegionBody | None = None
    measurements: Annotated[list[MeasurementBody], Field(max_length=MOST_MEASUREMENTS)] = []
    comment: Comment = ""
    reviewer: ReviewerBody | None = None

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if self.label is None and self.code is None:
            raise ValueError("a finding needs a label or a code")
        return self

    def record(self, study: str, known: list[Code]) -> FindingRecord:
        """The finding; `known` are codes that the label may name."""
        code = self.code.code() if self.code else finding_code(self.label or "", known)
        return FindingRecord(
            work_item="",
            study=study,
            series=self.series_uid,
            result="",
            model="",
            version="",
            key="",
            tracking_uid="",
            code=code,
            presence="present",
            measurements=tuple(each.measurement() for each in self.measurements),
            region=self.region.region() if self.region else None,
        )


class UndoBody(Body):
    """Who takes a review back."""

    reviewer: ReviewerBody | None = None


class AcknowledgementBody(Body):
    """Who has seen a critical finding."""

    reviewer: ReviewerBody | None = None


class SignBody(Body):
    """Who signs, and what happens to findings without a verdict."""

    reviewer: ReviewerBody | None = None
    unreviewed: Literal["refuse", "leave"] = "refuse"
    """`leave` signs without them; they are not in the verified report."""
