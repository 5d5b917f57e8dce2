"""Why a stored frame cannot be turned into an array."""

from storage.errors import InvalidInstance


class UndecodablePixels(InvalidInstance):
    """The pixel data is broken, contradicts its header, or is in a form no decoder here reads."""
