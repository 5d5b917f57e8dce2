"""Whether the inputs of a card go together; what does not is named with its place in the card."""

from collections.abc import Sequence

from models.schema.images import AppliesTo, Checks
from models.schema.inputs import ImageInput, Input, PresenceInput


class Misfit(ValueError):
    """What a card says in one place does not go with what it says elsewhere.

    Args:
        message: what is wrong.
        location: keys and indices that lead to it.
    """

    def __init__(self, message: str, *location: str | int) -> None:
        super().__init__(message)
        self.location = location


def check_inputs(inputs: Sequence[Input], applies_to: AppliesTo, checks: Checks) -> None:
    """Raise `Misfit` where inputs do not go with each other, with `[applies_to]` or with their checks."""
    images = [(number, each) for number, each in enumerate(inputs) if isinstance(each, ImageInput)]
    if not images:
        raise Misfit("inputs must have one of kind 'image'", "inputs")
    _check_first(*images[0])
    for number, image in images:
        _check_scope(number, image, applies_to)
        if image.layout == "NCDHW":
            _check_volume(number, image, image.checks or checks)
        if len(images) > 1:
            if applies_to.scope == "frame":
                raise Misfit("several image inputs are whole images or series", "applies_to", "scope")
            _check_beside(number, image, [each for at, each in images if at < number])
    optional = {image.name for _, image in images if image.optional}
    for number, each in enumerate(inputs):
        if isinstance(each, PresenceInput) and each.of not in optional:
            raise Misfit(f"{each.of!r} is no optional input", "inputs", number, "of")


def _check_first(number: int, image: ImageInput) -> None:
    for key, value in (
        ("from", image.origin != "study"),
        ("optional", image.optional),
        ("align", image.align),
    ):
        if value:
            raise Misfit(
                f"the first image input is what the others go with: it has no {key}", "inputs", number, key
            )


def _check_scope(number: int, image: ImageInput, applies_to: AppliesTo) -> None:
    if (image.layout == "NCDHW") != (applies_to.scope == "series"):
        raise Misfit('layout NCDHW and scope = "series" go together', "inputs", number, "layout")


def _check_volume(number: int, image: ImageInput, checks: Checks) -> None:
    if image.axes and checks.orientation == "any":
        raise Misfit("inputs.axes needs checks.orientation", "inputs", number, "axes")
    if image.values == "voi8":
        raise Misfit('a volume takes values = "modality" or "stored"', "inputs", number, "values")
    if checks.geometry != "regular-volume":
        raise Misfit('a volume needs checks.geometry = "regular-volume"', "inputs", number, "checks")


def _check_beside(number: int, image: ImageInput, before: Sequence[ImageInput]) -> None:
    if image.match is None:
        raise Misfit("of several image inputs each needs match", "inputs", number)
    if before and image.layout != "NCDHW" and image.origin == "study":
        raise Misfit('a further picture is from = "prior study"', "inputs", number)
    if before and image.patch:
        raise Misfit(
            "patch is for the first image input; those aligned with it follow", "inputs", number, "patch"
        )
    grids = {each.name for each in before if not each.align}
    if image.align and image.align not in grids:
        raise Misfit(
            f"{image.align!r} is no image input before this one with a grid of its own",
            "inputs",
            number,
            "align",
        )
