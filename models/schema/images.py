"""Which images a model is for, and what they must be like; the ONNX file."""

from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydicom.datadict import tag_for_keyword

from models.schema.base import Count, Positive, Sha256, Table, Text


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
    attribute is looked at: one in `any_of` or like one in `like` is enough, one in `none_of` is too many.
    """

    keyword: Text
    any_of: tuple[str, ...] = ()
    like: tuple[Text, ...] = ()
    """Patterns of whole values: `*` stands for any text, `?` for one character."""
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


class Match(Table):
    """`[inputs.match]`: of the images that `[applies_to]` names, those that this input takes.

    Lists that are empty do not restrict.
    """

    modality: tuple[Text, ...] = ()
    sop_class: tuple[Text, ...] = ()
    body_part: tuple[Text, ...] = ()
    """BodyPartExamined; images that do not state it are accepted."""
    view_position: tuple[Text, ...] = ()
    """ViewPosition; images that do not state it are accepted."""
    image_type_exclude: tuple[Text, ...] = ("LOCALIZER",)
    """Values of ImageType that keep an image out."""
    min_instances: Count = 1
    attributes: tuple[AttributeRule, ...] = ()


class AppliesTo(Match):
    """`[applies_to]`: which images the model is for. Lists that are empty do not restrict."""

    scope: Literal["frame", "instance", "series"]
    """What one image input takes: each frame, each image, or all images of a series as a volume."""
    modality: Annotated[tuple[Text, ...], Field(min_length=1)]


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
