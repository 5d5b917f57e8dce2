"""Broken and crafted files: a model is given a picture, or there is a stated reason; nothing else happens."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from inference.inputs import InputImages
from inference.prepare import prepare
from inference.suitability import Unsuitable
from inference.volume import read_volume
from models.schema.images import AppliesTo, Checks
from storage.errors import StorageError
from storage.header import read_header
from storage.instances import StoredInstance
from storage.layout import Layout
from tests.inference.test_prepare import PICTURE, card_of

MODALITIES = ("CT", "MR", "DX", "CR", "US", "MG", "NM", "PT", "XA", "RF", "OT", "SEG", "RTDOSE")


class OneFile:
    """A file as an archive gives it, so that many files of one SOP Instance UID can be looked at."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header = read_header(path)
        layout = self.header.layout
        self.instance = StoredInstance(
            self.header.key,
            self.header.sop_class,
            self.header.transfer_syntax,
            self.header.size,
            self.header.digest,
            blob=path.name,
            number_of_frames=layout.number_of_frames,
        )

    def headers(self, instances: Iterable[StoredInstance]) -> Iterator[bytes]:
        return (self.header.json for _ in instances)

    def layout(self, instance: StoredInstance) -> Layout:
        return self.header.layout

    def read_value(self, instance: StoredInstance, offset: int, length: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def frame(self, instance: StoredInstance, number: int) -> bytes:
        pieces = self.header.layout.frame(number)
        return b"".join(self.read_value(instance, *piece) for piece in pieces)


@pytest.fixture(scope="module", params=["fuzz", "pydicom", "geometry"])
def files(request, test_data):
    """Every file of a folder of broken ones that has a readable header."""
    readable = []
    for path in sorted((test_data / "bad" / request.param).rglob("*")):
        if path.is_file():
            try:
                readable.append(OneFile(path))
            except StorageError:
                continue
    return readable


def test_broken_image_is_a_picture_or_has_a_reason(files):
    card = card_of(PICTURE | {"resize": {"rows": 32, "columns": 32}}, scope="frame", modality=MODALITIES)
    pictures = 0
    for file in files:
        with suppress(Unsuitable, StorageError):
            for run in prepare(card, file, [InputImages((file.instance,))]):
                picture = run.inputs["picture"]
                assert (picture.shape, picture.dtype) == ((1, 1, 32, 32), np.uint8), file.path
                pictures += 1
    assert pictures


def test_broken_image_is_a_volume_or_has_a_reason(files):
    rules = AppliesTo(scope="series", modality=MODALITIES)
    for file in files:
        with suppress(Unsuitable, StorageError):
            volume = read_volume(file, [file.instance], [rules], Checks(geometry="regular-volume"))
            assert volume.array.ndim == 3, file.path
