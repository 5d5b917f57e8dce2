"""What a model takes."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from models.schema.base import Count, Positive, Table, Text
from models.schema.images import Checks, Match

_DIRECTION = {"S": 0, "I": 0, "A": 1, "P": 1, "L": 2, "R": 2}


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


class Patch(Table):
    """Parts of a volume that a model is run on one after the other.

    Where parts overlap, scores are averaged: all alike (`constant`), or those in the middle of a part more
    (`gaussian`).
    """

    size: tuple[Count, Count, Count]
    overlap: Annotated[float, Field(ge=0, le=0.9)] = 0.25
    """Of neighbouring parts, as a share of their size."""
    blend: Literal["gaussian", "constant"] = "gaussian"


class ImageInput(Table):
    """`[[inputs]]` of kind `image`: the pixels.

    Steps in this order: values → clip → channels → resize, or axes, spacing_mm and size → padding → scale →
    divide_by → mean → std → layout → dtype.
    Volumes whose `checks.orientation` is stated are brought into the canonical frame first. Axial: slices
    from feet to head, rows from anterior to posterior, columns from the patient's right to left; coronal:
    anterior to posterior, head to feet, right to left; sagittal: right to left, head to feet, anterior to
    posterior.
    """

    kind: Literal["image"]
    name: Text
    match: Match | None = None
    """Which series it takes, of those that `[applies_to]` names; needed where there are several inputs."""
    origin: Annotated[Literal["study", "prior study"], Field(alias="from")] = "study"
    """`study`: that of the first image input. `prior study`: the newest earlier one of the same patient that
    has a series for it."""
    optional: bool = False
    """Where there is no such series the model runs without, and gets zeros in its place; see `presence`."""
    align: str = ""
    """Name of an input before it on whose grid the series is resampled, linearly and by its place in the
    patient; `pad_value` lies around it. Empty: the series has a grid of its own."""
    other_frame_of_reference: Literal["refuse", "accept"] = "refuse"
    """What happens where a series to be aligned has another Frame of Reference UID, or none. `accept`: it is
    taken to lie in the same coordinates."""
    min_overlap: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The share of the other input's grid that an aligned series must cover; some of it always."""
    checks: Checks | None = None
    """What this series must be like, in place of the card's `[checks]`."""
    dtype: Literal["float32", "float16", "int16", "uint8", "uint16", "int32"] = "float32"
    layout: Literal["NCHW", "NHWC", "NCDHW"]
    values: Literal["stored", "modality", "voi8"]
    """`modality`: after the modality LUT (CT: HU). `voi8`: display values 0..255, high is bright: 8-bit
    pixels without rescale or window as they are, others modality LUT, VOI, then minimum..maximum to 0..255;
    MONOCHROME1 is inverted."""
    window: Window | None = None
    """For `voi8`: used in place of the window in the file."""
    resize: Resize | None = None
    axes: Annotated[str, Field(pattern=r"^[SIAPLR]{3}$")] | Literal[""] = ""
    """Of volumes: where slices, rows and columns of the model's grid lead, as letters for Superior, Inferior,
    Anterior, Posterior, Left, Right: `"RAS"`. Empty: the canonical frame. Needs `checks.orientation`."""
    spacing_mm: tuple[Positive, Positive, Positive] | None = None
    """Of volumes: resampled linearly to this distance between slices, rows and columns of the grid."""
    size: tuple[Count, Count, Count] | None = None
    """Of volumes: cut, or padded with `pad_value`, to this many slices, rows, columns around the middle."""
    patch: Patch | None = None
    """Of volumes: the model is run on parts of the grid, and its score maps are put together."""
    clip: tuple[float, float] | None = None
    """Values below and above are set to these limits; in the units of `values`."""
    scale: Literal["none", "min-max", "percentiles", "z-score"] = "none"
    """What maps the values of one picture or volume: minimum..maximum, or the 0.5th..99.5th percentile, to
    0..1; or to a mean of 0 and a standard deviation of 1."""
    multiple_of: tuple[Count, Count] = (1, 1)
    """Rows and columns are padded at the end with `pad_value` to a multiple of these."""
    pad_value: float = 0.0
    """In the units of `values`."""
    divide_by: Positive = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[Positive, ...] = ()
    channels: Literal[1, 3] = 1

    @property
    def in_words(self) -> str:
        """What it takes, for people."""
        told = [f"{self.name} of the {self.origin}"]
        told += [f"aligned with {self.align}"] if self.align else []
        return ", ".join([*told, *(["optional"] if self.optional else [])])

    @model_validator(mode="after")
    def _per_channel(self) -> Self:
        for key in ("mean", "std"):
            if len(getattr(self, key)) not in {0, self.channels}:
                raise ValueError(f"{key} needs one number per channel ({self.channels})")
        if self.window is not None and self.values != "voi8":
            raise ValueError('window goes with values = "voi8" only')
        return self

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        if self.layout == "NCDHW":
            if self.resize is not None or self.channels != 1:
                raise ValueError("a volume (NCDHW) is neither resized nor has it 3 channels")
            if self.axes and {_DIRECTION[letter] for letter in self.axes} != {0, 1, 2}:
                raise ValueError(f"axes {self.axes!r} must name each of S or I, A or P, L or R once")
            if self.size and self.multiple_of != (1, 1):
                raise ValueError("size and multiple_of exclude each other")
        elif self.axes or self.spacing_mm or self.size or self.patch:
            raise ValueError("axes, spacing_mm, size and patch are for volumes (NCDHW)")
        if self.clip and self.clip[0] >= self.clip[1]:
            raise ValueError("clip needs the lower limit first")
        return self

    @model_validator(mode="after")
    def _beside_others(self) -> Self:
        own_grid = self.axes or self.spacing_mm or self.size or self.patch or self.multiple_of != (1, 1)
        if self.align and (own_grid or self.layout != "NCDHW"):
            raise ValueError(
                "an input with align is a volume on the grid of another, and has none of its own"
            )
        if self.optional and not (self.align or self.resize):
            raise ValueError("an optional input needs align, or resize for a picture: zeros need a size")
        if not self.align and (self.min_overlap or self.other_frame_of_reference == "accept"):
            raise ValueError("min_overlap and other_frame_of_reference go with align only")
        return self


class SpacingInput(Table):
    """`[[inputs]]` of kind `spacing`: float32 [3], mm between slices, rows and columns.

    Of the grid of the first image input.
    """

    kind: Literal["spacing"]
    name: Text


class PresenceInput(Table):
    """`[[inputs]]` of kind `presence`: float32 [1], 1 where the series of an optional input is there or 0."""

    kind: Literal["presence"]
    name: Text
    of: Text
    """Name of the optional input."""


Input = Annotated[ImageInput | SpacingInput | PresenceInput, Field(discriminator="kind")]
