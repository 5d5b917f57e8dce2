"""Waveforms (PS3.3 C.10.9) on paper: an electrocardiogram in its usual form, others as rows of channels."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dicomweb.annotation import KINDS, lines
from dicomweb.binary import binary
from dicomweb.drawing import Colour, Drawing, Label, Line
from storage.instances import StoredInstance
from storage.pixels.attributes import Attributes, integer, item, items, number, text
from storage.pixels.decode import FrameSource
from storage.pixels.errors import UndecodablePixels
from storage.transfer_syntax import transfer_syntax

WAVEFORMS = "54000100"

_DATA, _PADDING = "54001010", "5400100A"
_CHANNELS, _SAMPLES, _RATE = "003A0005", "003A0010", "003A001A"
_TYPES = {"SB": "i1", "UB": "u1", "SS": "i2", "US": "u2", "SL": "i4", "UL": "u4"}
_MAX_CHANNELS, _MAX_BYTES = 64, 64 << 20
_MILLIVOLTS = {"uV": 1e-3, "mV": 1.0, "V": 1e3}

_PAGE = (297.0, 210.0)
_LEFT, _TOP, _WIDTH, _HEIGHT = 23.5, 30.0, 250.0, 165.0
_COLUMNS_MM = 0.2
_SPEED, _GAIN = 25.0, 10.0
"""Millimetres for a second and for a millivolt, as electrocardiographs print them."""
_LEADS = (("I", "AVR", "V1", "V4"), ("II", "AVL", "V2", "V5"), ("III", "AVF", "V3", "V6"))
_LEAD = re.compile(r"(?:LEAD\s+)?(I{1,3}|AV[RLF]|V[1-6])\b")
_STRIP_SECONDS = 10.0
_INK: Colour = (0, 0, 0)
_FINE: Colour = (255, 214, 214)
_COARSE: Colour = (255, 160, 160)

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """One channel of a multiplex group."""

    name: str
    unit: str
    values: Values
    """In `unit`, NaN where nothing was recorded."""
    rate: float
    """Samples a second."""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.values) / self.rate


def channels(archive: FrameSource, instance: StoredInstance, header: Attributes) -> list[Channel]:
    """The channels of the first multiplex group, which is what was recorded, as physical values.

    Raises:
        UndecodablePixels: there are none that can be read; the message has the reason.
    """
    group = item(header, WAVEFORMS)
    count, samples = integer(group, _CHANNELS) or 0, integer(group, _SAMPLES) or 0
    rate = number(group, _RATE) or 0
    kind = _TYPES.get(text(group, "54001006"))
    if not (0 < count <= _MAX_CHANNELS and samples > 0 and rate > 0):
        raise UndecodablePixels(f"a waveform of {count} channels, {samples} samples, {rate:g} Hz")
    if kind is None:
        raise UndecodablePixels(f"waveform samples are {text(group, '54001006')[:8] or 'of no kind'}")
    big_endian = transfer_syntax(instance.transfer_syntax).big_endian
    dtype = np.dtype(kind).newbyteorder(">" if big_endian else "<")
    needed = count * samples * dtype.itemsize
    data = _data(archive, instance, group, needed)
    raw = np.frombuffer(data, dtype, count * samples).reshape(samples, count)
    filler = binary(archive, instance, group, _PADDING, dtype.itemsize)
    padding = int(np.frombuffer(filler, dtype)[0]) if len(filler) == dtype.itemsize else None
    described: Sequence[Attributes] = items(group, "003A0200")
    return [
        _channel(raw[:, place], described[place] if place < len(described) else {}, place, rate, padding)
        for place in range(count)
    ]


def _data(archive: FrameSource, instance: StoredInstance, group: Attributes, needed: int) -> bytes:
    if needed > _MAX_BYTES:
        raise UndecodablePixels(f"a waveform of {needed} bytes is too long for a page")
    data = binary(archive, instance, group, _DATA, needed)
    if len(data) < needed:
        raise UndecodablePixels(f"the waveform has {len(data)} bytes, {needed} are needed")
    return data


def _channel(
    raw: npt.NDArray[np.generic], described: Attributes, place: int, rate: float, padding: int | None
) -> Channel:
    sensitivity = number(described, "003A0210")
    correction, baseline = number(described, "003A0212"), number(described, "003A0213")
    scale = (1.0 if sensitivity is None else sensitivity) * (1.0 if correction is None else correction)
    values = raw.astype(np.float64) * scale + (baseline or 0)
    if padding is not None:
        values[raw == padding] = np.nan
    source = item(described, "003A0208")
    name = text(described, "003A0203") or text(source, "00080104") or f"channel {place + 1}"
    unit = text(item(described, "003A0211"), "00080100") if sensitivity is not None else ""
    return Channel(name[:40], unit[:16], values, rate)


def draw_waveform(
    archive: FrameSource, instance: StoredInstance, header: Attributes, annotation: Sequence[str]
) -> Drawing:
    """The waveform on a page: twelve leads of 2.5 s and a rhythm strip, or each channel in a row.

    Args:
        archive: where the instance is stored.
        instance: a waveform.
        header: its attributes.
        annotation: of `annotation.KINDS`, what is written above.

    Raises:
        UndecodablePixels: as `channels`.
    """
    found = channels(archive, instance, header)
    page = Drawing(*_PAGE)
    leads = {_lead(each.name): each for each in found if each.unit in _MILLIVOLTS}
    twelve = all(name in leads for row in _LEADS for name in row)
    if twelve and found[0].seconds >= _STRIP_SECONDS / 2:
        _draw_leads(page, leads)
    else:
        _draw_rows(page, found)
    for column, kind in enumerate(each for each in KINDS if each in annotation):
        for line, written in enumerate(lines(header, kind)):
            place = (_LEFT + 125 * column + 62 * (line % 2), 7 + 4.5 * (line // 2))
            page.labels.append(Label(*place, written))
    return page


def _lead(name: str) -> str:
    """The lead that a channel says it is, such as `AVR` for "Lead aVR"; empty when it says none."""
    found = _LEAD.match(name.upper())
    return found[1] if found else ""


def _draw_leads(page: Drawing, leads: dict[str, Channel]) -> None:
    _draw_grid(page)
    row_height, quarter = _HEIGHT / 4, _STRIP_SECONDS / 4
    for row, names in enumerate(_LEADS):
        middle = _TOP + row_height * (row + 0.5)
        for column, name in enumerate(names):
            channel, start = leads[name], column * quarter
            _draw_trace(page, channel, (start, start + quarter), _LEFT + start * _SPEED, middle)
            page.labels.append(Label(_LEFT + start * _SPEED + 1, middle - 13, channel.name))
    middle = _TOP + row_height * 3.5
    _draw_trace(page, leads["II"], (0, _STRIP_SECONDS), _LEFT, middle)
    page.labels.append(Label(_LEFT + 1, middle - 13, leads["II"].name))
    page.labels.append(Label(_LEFT, _PAGE[1] - 7, "25 mm/s   10 mm/mV"))


def _draw_grid(page: Drawing) -> None:
    for colour, width, step in ((_FINE, 0.1, 1.0), (_COARSE, 0.2, 5.0)):
        for x in np.arange(_LEFT, _LEFT + _WIDTH + 0.01, step):
            page.lines.append(Line(np.array([[x, _TOP], [x, _TOP + _HEIGHT]]), colour, width))
        for y in np.arange(_TOP, _TOP + _HEIGHT + 0.01, step):
            page.lines.append(Line(np.array([[_LEFT, y], [_LEFT + _WIDTH, y]]), colour, width))


def _draw_trace(
    page: Drawing, channel: Channel, span: tuple[float, float], left: float, middle: float
) -> None:
    first, last = (round(each * channel.rate) for each in span)
    values = channel.values[first:last] * _MILLIVOLTS[channel.unit]
    x: Values = left + np.arange(len(values), dtype=np.float64) * (_SPEED / channel.rate)
    y = np.clip(middle - values * _GAIN, _TOP, _TOP + _HEIGHT)
    _draw_line(page, x, np.asarray(y, np.float64))


def _draw_rows(page: Drawing, found: Sequence[Channel]) -> None:
    height = _HEIGHT / len(found)
    for row, channel in enumerate(found):
        middle = _TOP + height * (row + 0.5)
        there = channel.values[np.isfinite(channel.values)]
        low, high = (float(there.min()), float(there.max())) if there.size else (0.0, 1.0)
        x: Values = _LEFT + np.arange(len(channel.values), dtype=np.float64) * (_WIDTH / len(channel.values))
        level = (channel.values - (low / 2 + high / 2)) / ((high - low) or 1)
        _draw_line(page, x, np.asarray(middle - level * height * 0.8, np.float64))
        label = f"{channel.name}  {low:g} to {high:g} {channel.unit}"
        page.labels.append(Label(_LEFT + 1, middle - height * 0.38, label, min(3.5, height / 2)))
    page.labels.append(Label(_LEFT, _PAGE[1] - 7, f"{found[0].seconds:g} s"))


def _draw_line(page: Drawing, x: Values, y: Values) -> None:
    """The trace, in pieces where nothing was recorded, with no more points than the page can show."""
    for start, end in _recorded(y):
        points = _thinned(x[start:end], y[start:end])
        if len(points) > 1:
            page.lines.append(Line(points, _INK, 0.25))


def _recorded(y: Values) -> list[tuple[int, int]]:
    there = np.concatenate(([0], np.isfinite(y).astype(np.int8), [0]))
    edges = np.flatnonzero(np.diff(there))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _thinned(x: Values, y: Values) -> npt.NDArray[np.float64]:
    """At most the lowest and the highest point of each fifth of a millimetre."""
    step = int(len(x) / max((x[-1] - x[0]) / _COLUMNS_MM, 1))
    if step <= 2:  # noqa: PLR2004 - as many as would be left
        return np.stack([x, y], -1)
    whole = len(x) // step * step
    blocks = y[:whole].reshape(-1, step)
    ends = np.sort(np.stack([blocks.argmin(1), blocks.argmax(1)], -1), -1)
    chosen = (ends + np.arange(0, whole, step)[:, None]).ravel()
    return np.stack([x[chosen], y[chosen]], -1)
