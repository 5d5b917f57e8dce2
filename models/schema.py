"""The tables of a `card.toml`: what each may hold, with its defaults and its meaning.

Keys may be added in later versions; those that exist keep their meaning within one `schema` number.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydicom.datadict import tag_for_keyword

Text = Annotated[str, Field(min_length=1)]
Byte = Annotated[int, Field(ge=0, le=255)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
TensorIndex = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]


class Table(BaseModel):
    """A table of the card: unknown keys are errors, values do not change."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CodeValue(Table):
    """A coded concept (PS3.3 8.8): `{ value = "39607008", scheme = "SCT", meaning = "Lung" }`."""

    value: Text
    scheme: Text
    meaning: Annotated[str, Field(min_length=1, max_length=64)]


CERTAINTY = CodeValue(value="111012", scheme="DCM", meaning="Certainty of Finding")
ORGAN = CodeValue(value="91723000", scheme="SCT", meaning="Anatomical Structure")


class ModelFile(Table):
    """`[model]`: the ONNX file, pinned."""

    file: Text = "model.onnx"
    """Relative to the card's folder."""
    sha256: Sha256
    external_data: dict[str, Sha256] = Field(default_factory=dict)
    """Files with weights kept outside the ONNX file, by name: their SHA-256. Files not named are refused."""
    max_bytes: Count = 2 * 1024**3
    """Upper limit of the file and its external data together."""


class AttributeRule(Table):
    """`[[applies_to.attributes]]`: a condition on one attribute, named by its keyword.

    Values compare without regard to case; `min` and `max` compare numbers. Every value of a multi-valued
    attribute is looked at: one in `any_of` is enough, one in `none_of` is too many.
    """

    keyword: Text
    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    min: float | None = None
    max: float | None = None
    missing: Literal["accept", "refuse"] = "refuse"

    @field_validator("keyword")
    @classmethod
    def _known(cls, keyword: str) -> str:
        if tag_for_keyword(keyword) is None:
            raise ValueError(f"{keyword!r} is no attribute of PS3.6")
        return keyword


class AppliesTo(Table):
    """`[applies_to]`: which images the model is for. Lists that are empty do not restrict."""

    scope: Literal["frame", "instance", "series"]
    modality: Annotated[tuple[Text, ...], Field(min_length=1)]
    sop_class: tuple[Text, ...] = ()
    body_part: tuple[Text, ...] = ()
    """BodyPartExamined; images that do not state it are accepted."""
    view_position: tuple[Text, ...] = ()
    """ViewPosition; images that do not state it are accepted."""
    image_type_exclude: tuple[Text, ...] = ("LOCALIZER",)
    """Values of ImageType that keep an image out."""
    min_instances: Count = 1
    attributes: tuple[AttributeRule, ...] = ()


class Checks(Table):
    """`[checks]`: what the images must be like; otherwise the work ends with the reason, without a result."""

    geometry: Literal["none", "regular-volume"] = "none"
    """`regular-volume`: parallel slices of one size and one orientation, evenly spaced, not sheared."""
    orientation: Literal["any", "axial", "coronal", "sagittal"] = "any"
    max_obliquity_degrees: Annotated[float, Field(ge=0, le=45)] = 15.0
    """How far the slices may be turned from the plane that `orientation` names."""
    min_slices: Count = 1
    max_slices: Count = 4000
    max_voxels: Count = 2**30
    units: Literal["any", "HU"] = "any"
    """`HU`: the images must be scaled to Hounsfield units (Rescale Intercept; Rescale Type HU or none)."""
    min_slice_spacing_mm: Annotated[float, Field(ge=0)] = 0.0
    max_slice_spacing_mm: Positive | None = None
    max_pixel_spacing_mm: Positive | None = None
    spacing_tolerance: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """Largest deviation of one slice distance from the median distance, relative."""
    min_extent_mm: Annotated[float, Field(ge=0)] = 0.0
    """Smallest length of the volume along the slice axis."""


class Window(Table):
    """A linear VOI window (PS3.3 C.11.2.1.2)."""

    center: float
    width: Positive


class Resize(Table):
    """Change of the in-plane matrix.

    `linear-antialiased` widens the filter when shrinking (as PIL and torchvision do on images), `linear` does
    not. With `keep_aspect` the picture is fitted and centred, the rest filled with `Image.pad_value`.
    """

    rows: Count
    columns: Count
    method: Literal["linear-antialiased", "linear", "nearest"] = "linear-antialiased"
    keep_aspect: bool = False


class ImageInput(Table):
    """`[[inputs]]` of kind `image`: the pixels.

    Steps in this order: values → channels → resize → padding → divide_by → mean → std → layout → dtype.
    Volumes whose `checks.orientation` is stated are brought into the canonical frame first. Axial: slices
    from feet to head, rows from anterior to posterior, columns from the patient's right to left; coronal:
    anterior to posterior, head to feet, right to left; sagittal: right to left, head to feet, anterior to
    posterior.
    """

    kind: Literal["image"]
    name: Text
    dtype: Literal["float32", "float16", "int16", "uint8", "uint16", "int32"] = "float32"
    layout: Literal["NCHW", "NHWC", "NCDHW"]
    values: Literal["stored", "modality", "voi8"]
    """`modality`: after the modality LUT (CT: HU). `voi8`: display values 0..255, high is bright: 8-bit
    pixels without rescale or window as they are, others modality LUT, VOI, then minimum..maximum to 0..255;
    MONOCHROME1 is inverted."""
    window: Window | None = None
    """For `voi8`: used in place of the window in the file."""
    resize: Resize | None = None
    multiple_of: tuple[Count, Count] = (1, 1)
    """Rows and columns are padded at the end with `pad_value` to a multiple of these."""
    pad_value: float = 0.0
    """In the units of `values`."""
    divide_by: Positive = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[Positive, ...] = ()
    channels: Literal[1, 3] = 1

    @model_validator(mode="after")
    def _per_channel(self) -> Self:
        for key in ("mean", "std"):
            if len(getattr(self, key)) not in {0, self.channels}:
                raise ValueError(f"{key} needs one number per channel ({self.channels})")
        if self.window is not None and self.values != "voi8":
            raise ValueError('window goes with values = "voi8" only')
        if self.layout == "NCDHW" and (self.resize is not None or self.channels != 1):
            raise ValueError("a volume (NCDHW) is neither resized nor has it 3 channels")
        return self


class SpacingInput(Table):
    """`[[inputs]]` of kind `spacing`: float32 [3], mm between slices, rows and columns of the image input."""

    kind: Literal["spacing"]
    name: Text


Input = Annotated[ImageInput | SpacingInput, Field(discriminator="kind")]


class Label(Table):
    """One class of a `scores` output, in the order of the tensor."""

    label: Text
    code: CodeValue | None = None
    site: CodeValue | None = None
    laterality: CodeValue | None = None
    threshold: float = 0.5
    finding: bool = True
    """False for a class like "No Finding": never reported as present."""

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

    `encoding = "labels"`: whole numbers; `"argmax"`: a score per class on axis 1, the highest one counts.
    """

    kind: Literal["label-map"]
    name: Text
    encoding: Literal["labels", "argmax"] = "labels"
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
