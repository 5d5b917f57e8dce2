"""How many images a series has, where one of them says so."""

from dataclasses import dataclass

from storage.pixels.attributes import Attributes, integer, text

_SERIES_TYPE = "00541000"
_NUMBER_OF_SLICES, _NUMBER_OF_TIME_SLICES = "00540081", "00540101"
_IN_SERIES, _IN_CONCATENATION, _IN_ACQUISITION = "00201209", "00209163", "00201002"


@dataclass(frozen=True, slots=True)
class Expected:
    """What an image says of the number of images."""

    images: int = 0
    """0: nothing."""
    exact: bool = False
    """It is the number of the whole series; otherwise of one acquisition, of which there may be several."""

    def missing(self, stored: int) -> int | None:
        """How many images have not come when `stored` have; None when that cannot be told."""
        if not self.images:
            return None
        if self.exact or stored < self.images:
            return max(self.images - stored, 0)
        # Acquisitions of a series mostly have as many images each.
        return 0 if stored % self.images == 0 else None


def expected_images(header: Attributes) -> Expected:
    """What an image says of the number of images in its series.

    Number of Series Related Instances (PS3.4 C.3.4, which some senders write into the images), the instances
    of a concatenation (PS3.3 C.7.6.16.2.2.4), the slices of a PET series (PS3.3 C.8.9.1), or else Images in
    Acquisition (PS3.3 C.7.6.1).

    Args:
        header: of one image, in the DICOM JSON Model.
    """
    of_series = (integer(header, _IN_SERIES), integer(header, _IN_CONCATENATION), _slices(header))
    exact = next((number for number in of_series if number is not None and number > 0), None)
    if exact is not None:
        return Expected(exact, exact=True)
    return Expected(max(integer(header, _IN_ACQUISITION) or 0, 0))


def _slices(header: Attributes) -> int | None:
    """Of a PET series that is not gated: in a gated one slots and intervals count as well (C.8.9.4.1.9)."""
    slices, kind = integer(header, _NUMBER_OF_SLICES), text(header, _SERIES_TYPE)
    if slices is None or kind not in {"STATIC", "WHOLE BODY", "DYNAMIC"}:
        return None
    return slices * (integer(header, _NUMBER_OF_TIME_SLICES) or 1) if kind == "DYNAMIC" else slices
