"""Colours as data sets have them."""

from operator import mul

_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
"""Of linear sRGB (IEC 61966-2-1)."""
_WHITE = (0.95047, 1.0, 1.08883)
"""D65."""
_DARK = 0.04045
"""Below it sRGB is linear."""


def cielab(colour: tuple[int, int, int]) -> list[int]:
    """An sRGB colour as PCS values of CIELab (PS3.3 C.10.7.1.1)."""
    linear = [_linear(each / 255) for each in colour]
    x, y, z = (_root(sum(map(mul, row, linear)) / white) for row, white in zip(_XYZ, _WHITE, strict=True))
    values = ((116 * y - 16) / 100, (500 * (x - y) + 128) / 255, (200 * (y - z) + 128) / 255)
    return [round(value * 0xFFFF) for value in values]


def _linear(value: float) -> float:
    return ((value + 0.055) / 1.055) ** 2.4 if value > _DARK else value / 12.92


def _root(value: float) -> float:
    return value ** (1 / 3) if value > (6 / 29) ** 3 else value * 841 / 108 + 4 / 29
