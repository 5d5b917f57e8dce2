"""What a model gives."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from models.schema.base import Byte, CodeValue, Count, Table, TensorIndex, Text

CERTAINTY = CodeValue(value="111012", scheme="DCM", meaning="Certainty of Finding")
ORGAN = CodeValue(value="91723000", scheme="SCT", meaning="Anatomical Structure")


class Label(Table):
    """One class of a `scores` output, in the order of the tensor."""

    label: Text
    code: CodeValue | None = None
    site: CodeValue | None = None
    laterality: CodeValue | None = None
    threshold: float = 0.5
    finding: bool = True
    """False for a class like "No Finding": never reported as present."""
    critical: bool = False
    """It must be acknowledged: the study stands at the top of the worklist until somebody does."""

    @model_validator(mode="after")
    def _coded(self) -> Self:
        if self.finding and self.code is None:
            raise ValueError(f"label {self.label!r} is a finding and needs a code")
        return self


class ScoresOutput(Table):
    """`[[outputs]]` of kind `scores`: one number per class (one row per frame).

    `decide = "top-1"`: the class with the highest score is present when it reaches its threshold;
    `"threshold"`: every class that reaches its threshold is present.
    """

    kind: Literal["scores"]
    name: Text
    activation: Literal["softmax", "sigmoid", "none"]
    decide: Literal["top-1", "threshold"] = "threshold"
    score: CodeValue = CERTAINTY
    """What the number may be called."""
    labels: Annotated[tuple[Label, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        for label in self.labels:
            if self.activation != "none" and not 0 <= label.threshold <= 1:
                raise ValueError(f"threshold of {label.label!r} is not between 0 and 1")
        return self


class SegmentOf(Table):
    """`[[outputs.segments]]`: a segment, made of one or more values of the label map."""

    name: Text
    """Referred to by measurement groups."""
    values: Annotated[tuple[Annotated[int, Field(ge=1, le=255)], ...], Field(min_length=1)]
    label: Text
    category: CodeValue = ORGAN
    type: CodeValue
    laterality: CodeValue | None = None
    colour: tuple[Byte, Byte, Byte]


class LabelMapOutput(Table):
    """`[[outputs]]` of kind `label-map`: [1, 1, D, H, W] or [1, 1, H, W], over the image input's grid.

    `encoding = "labels"`: whole numbers; `"argmax"`: a score per class on axis 1, the first one of them
    background, the highest one counts; `"scores"`: a score per class on axis 1 without background: label 1 is
    the first class, the highest one counts where it reaches `threshold`.
    """

    kind: Literal["label-map"]
    name: Text
    encoding: Literal["labels", "argmax", "scores"] = "labels"
    threshold: float = 0.5
    """For `scores`, as the model gives them."""
    segments: Annotated[tuple[SegmentOf, ...], Field(min_length=1)]


class Value(Table):
    """`[[outputs.groups.values]]`: one element of the tensor. A value that is not finite is left out."""

    index: TensorIndex
    """Position in the tensor, axes of length 1 in front left out: `[2]`, or `[0, 2]` in a matrix."""
    output: Text | None = None
    """Output of the graph that holds it; by default the one that `[[outputs]]` names."""
    concept: CodeValue
    unit: CodeValue
    derivation: CodeValue | None = None
    method: CodeValue | None = None
    decimals: Annotated[int, Field(ge=0, le=6)] = 3


class Group(Table):
    """`[[outputs.groups]]`: numbers about one thing; one measurement group of the report."""

    key: Text
    finding: CodeValue
    site: CodeValue | None = None
    laterality: CodeValue | None = None
    segment: str | None = None
    """`name` of the segment that was measured; without voxels in it the group is left out."""
    critical: bool = False
    """It must be acknowledged: the study stands at the top of the worklist until somebody does."""
    values: Annotated[tuple[Value, ...], Field(min_length=1)]


class MeasurementOutput(Table):
    """`[[outputs]]` of kind `measurement`: named numbers in one tensor."""

    kind: Literal["measurement"]
    name: Text
    groups: Annotated[tuple[Group, ...], Field(min_length=1)]


class PointsOutput(Table):
    """`[[outputs]]` of kind `points`: rows of candidates, [N, columns] or [1, N, columns].

    `z`, `y`, `x` are indices into the image input (voxel centres are whole numbers), `diameter` is in mm. A
    row counts when its score is finite and reaches `threshold`; the highest `max_count` are kept.
    """

    kind: Literal["points"]
    name: Text
    columns: tuple[Literal["z", "y", "x", "diameter", "score", "ignore"], ...]
    code: CodeValue
    site: CodeValue | None = None
    diameter: CodeValue = CodeValue(value="81827009", scheme="SCT", meaning="Diameter")
    score: CodeValue | None = None
    """What the score may be called; without it the score only ranks and is not reported."""
    threshold: float
    critical: bool = False
    """It must be acknowledged: the study stands at the top of the worklist until somebody does."""
    max_count: Count = 100
    note: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for column in ("y", "x", "score"):
            if self.columns.count(column) != 1:
                raise ValueError(f"columns must name {column!r} once")
        return self


class BoxClass(Table):
    """`[[outputs.classes]]`: what a box may hold, in the order of the class numbers."""

    code: CodeValue
    site: CodeValue | None = None
    threshold: float
    critical: bool = False
    """It must be acknowledged: the study stands at the top of the worklist until somebody does."""


class BoxesOutput(Table):
    """`[[outputs]]` of kind `boxes`: rows of rectangles, [N, columns] or [1, N, columns].

    `x1`, `y1`, `x2`, `y2` are edges in pixels of the image input, 0.0 being the outer edge of the first one;
    `z` is the slice of a volume; `class` counts from 0 and may be missing when there is one class. A row
    counts when its score is finite and reaches the threshold of its class. Of boxes of one class on one slice
    that overlap by more than `max_overlap` (intersection over union) only the highest is kept.
    """

    kind: Literal["boxes"]
    name: Text
    columns: tuple[Literal["z", "x1", "y1", "x2", "y2", "score", "class", "ignore"], ...]
    classes: Annotated[tuple[BoxClass, ...], Field(min_length=1)]
    score: CodeValue | None = None
    """What the score may be called; without it the score only ranks and is not reported."""
    max_overlap: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_count: Count = 100
    note: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for column in ("x1", "y1", "x2", "y2", "score"):
            if self.columns.count(column) != 1:
                raise ValueError(f"columns must name {column!r} once")
        if len(self.classes) > 1 and "class" not in self.columns:
            raise ValueError("several classes need a column 'class'")
        return self


Output = Annotated[
    ScoresOutput | LabelMapOutput | MeasurementOutput | PointsOutput | BoxesOutput,
    Field(discriminator="kind"),
]


class Guard(Table):
    """`[[guards]]`: a number the model gives about its own input or answer, and what it must be.

    A value that is not finite breaks the guard. `reason` may contain `{value}`.
    """

    output: Text
    index: TensorIndex = (0,)
    min: float | None = None
    max: float | None = None
    action: Literal["refuse", "flag"]
    reason: Text

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a guard needs min or max")
        return self
