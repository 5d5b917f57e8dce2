"""Instances that belong to no patient (PS3.4 GG): palettes, protocols, implant templates, inventories.

They have no study, so they stand beside the studies, each with its blob below `non-patient/` and its row. The
promises are the same: durable before it is acknowledged, never overwritten, and the blob alone is enough to
make the row again.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from storage.errors import DuplicateInstance, InvalidInstance, QueryTooBroad, UnknownInstance
from storage.header import ObjectHeader, read_object
from storage.inflate import inflated_range
from storage.ingest import holds
from storage.instances import NonPatientInstance, Origin
from storage.key_matching import Keys, exact_values
from storage.layout import Layout
from storage.part10 import read_meta
from storage.places import non_patient_place, quarantined_non_patient
from storage.ports import Blobs
from storage.spool import SpoolFile
from storage.sql.index import SqlIndex

Attributes = dict[str, Any]
"""A data set in the DICOM JSON Model (PS3.18 F.2)."""

MOST_HEADERS = 10_000
"""Data sets that one search looks at."""
_PAGE = 200
_SOP = "00080018"
_CREATED = ("00080012", "00080013")
_MARKER = "bulkdata:"


class Category(NamedTuple):
    """Instances of one kind, and by what they are found."""

    name: str
    """Of its resource (PS3.18 12.1.1)."""
    title: str
    sop_classes: tuple[str, ...]
    """SOP Class UIDs of PS3.4 table GG.3-1."""
    keys: tuple[str, ...]
    """Tags of the first level of its information model, but SOP class and instance: in every answer."""


_CATEGORIES = (
    Category(
        "color-palettes",
        "color palettes",
        ("1.2.840.10008.5.1.4.39.1",),
        ("00700080", "00700081", "00700084", "00700087"),
    ),
    Category(
        "defined-procedure-protocols",
        "defined procedure protocols",
        ("1.2.840.10008.5.1.4.1.1.200.1", "1.2.840.10008.5.1.4.1.1.200.7"),
        (
            *("00080012", "00080013", "00080220", "00120010", "00181030", "00189906", "00189907", "00189908"),
            *("00189909", "0018990A", "0018990E", "0040A07C", "00700084"),
        ),
    ),
    Category(
        "hanging-protocols",
        "hanging protocols",
        ("1.2.840.10008.5.1.4.38.1",),
        (
            *("00720002", "00720004", "00720006", "00720008", "0072000A", "0072000C", "0072000E", "00720010"),
            *("00720014", "00720100", "00720102"),
        ),
    ),
    Category(
        "implant-templates",
        "implant templates, assemblies and groups of them",
        ("1.2.840.10008.5.1.4.43.1", "1.2.840.10008.5.1.4.44.1", "1.2.840.10008.5.1.4.45.1"),
        (
            *("00080070", "00221095", "00221097", "00686210", "00686222", "00686224", "00686225", "00686226"),
            *("00686230", "006862A0", "006863A0", "006863A4", "00760001", "00760003", "00760008", "00760010"),
            *("00780001", "00780010"),
        ),
    ),
    Category(
        "inventories",
        "inventories",
        ("1.2.840.10008.5.1.4.1.1.201.1",),
        (
            *("00080023", "00080033", "00080400", "00080401", "00080402", "00080403", "00080426", "00080427"),
            *("00080428", "00081195"),
        ),
    ),
)
# Keys by PS3.4 X.6, HH.6, U.6 and BB.6; of inventories by PS3.3 C.38.1.
CATEGORIES: Mapping[str, Category] = {each.name: each for each in _CATEGORIES}
"""By name."""

SOP_CLASSES = frozenset(uid for each in CATEGORIES.values() for uid in each.sop_classes)


class NonPatientInstances:
    """What is stored of them. Every method raises `StorageDown` when blobs or index do not answer."""

    def __init__(self, blobs: Blobs, index: SqlIndex) -> None:
        self._blobs = blobs
        self._index = index

    def store(
        self, file: SpoolFile, origin: Origin, classes: Collection[str] = SOP_CLASSES
    ) -> NonPatientInstance:
        """Store a file; when this returns, it is on stable storage and in the index. The file is consumed.

        Args:
            file: of one instance.
            origin: who brought it.
            classes: SOP Class UIDs it must have one of.

        Raises:
            InvalidInstance: it is not a file of such an instance.
            DuplicateInstance: the SOP Instance UID is taken by other bytes; these are kept in quarantine.
            StorageFull, StorageDown: nothing is promised; sending it again is safe.
        """
        with file:
            file.close()
            header = self._read(file, origin, classes)
            known = self._index.non_patient(header.sop)
            blob = non_patient_place(header.sop)
            # Bytes before row. A name that is taken by these very bytes was left by somebody who died before
            # he wrote the row.
            if known is None and (
                self._blobs.put_if_absent(blob, file.path) or holds(self._blobs, blob, file.path)
            ):
                known = self._index.add_non_patient(header, datetime.now(UTC))
            if known is None or not _is_same(known, header):
                raise self._refused(file, header, origin)
            return known

    def _read(self, file: SpoolFile, origin: Origin, classes: Collection[str]) -> ObjectHeader:
        try:
            return _of_class(read_object(file.path, file.digest), classes)
        except InvalidInstance as error:
            self._index.note_refusal(str(error), origin, file.size)
            raise

    def _refused(self, file: SpoolFile, header: ObjectHeader, origin: Origin) -> DuplicateInstance:
        reason = f"SOPInstanceUID {header.sop} is already stored with other bytes, which are kept"
        blob = quarantined_non_patient(header.sop, header.digest)
        self._blobs.put_if_absent(blob, file.path)
        self._index.note_refusal(reason, origin, header.size, (blob, header))
        return DuplicateInstance(f"{reason}; this copy is in quarantine")

    def instance(self, sop: str, classes: Collection[str] = SOP_CLASSES) -> NonPatientInstance:
        """One instance of one of these SOP classes. Raises `UnknownInstance`."""
        found = self._index.non_patient(sop)
        if found is None or found.sop_class not in classes:
            raise UnknownInstance(f"no instance {sop}")
        return found

    def stream(
        self, instance: NonPatientInstance, offset: int = 0, length: int | None = None
    ) -> Iterator[bytes]:
        """The bytes of the Part 10 file in chunks of at most 1 MiB. Raises `UnknownInstance`."""
        return self._blobs.stream(non_patient_place(instance.sop), offset, length)

    def attributes(self, instance: NonPatientInstance, most: int) -> Attributes:
        """The data set with all its values, big ones as Inline Binary (PS3.18 F.2.7).

        Args:
            instance: of which.
            most: bytes that its big values may have together.

        Raises:
            QueryTooBroad: they have more.
            UnknownInstance: it is gone.
        """
        packed = self._index.non_patient_header(instance.sop)
        if packed is None:
            raise UnknownInstance(f"no instance {instance.sop}")
        data, layout = packed
        size = sum(length for _, length in layout.bulk.values())
        if size > most:
            raise QueryTooBroad(f"its big values have {size} bytes; ask for application/dicom")
        return _with_bulk(json.loads(data), lambda path: self._value(instance, layout, path))

    def _value(self, instance: NonPatientInstance, layout: Layout, path: str) -> bytes:
        offset, length = layout.bulk[path]
        blob = non_patient_place(instance.sop)
        if not layout.deflated:
            return self._blobs.read_range(blob, offset, length)
        start = read_meta(next(self._blobs.stream(blob))).dataset_offset
        return inflated_range(self._blobs.stream(blob, start), offset, length)

    def search(
        self, classes: Collection[str], identifier: Mapping[str, Any], *, fuzzy: bool = False
    ) -> Iterator[Attributes]:
        """The data sets that match, without their big values, the last stored first.

        Args:
            classes: SOP Class UIDs.
            identifier: keys in the DICOM JSON Model (PS3.4 C.2.2.2).
            fuzzy: person names match by the beginnings of their words, too.

        Raises:
            InvalidQuery: a key makes no sense.
            QueryTooBroad: `MOST_HEADERS` were looked at; those that match were given.
        """
        keys = Keys(identifier, moments=[_CREATED], fuzzy=fuzzy)
        return self._found(keys, classes, exact_values(identifier, _SOP))

    def _found(
        self, keys: Keys, classes: Collection[str], sops: Collection[str] | None
    ) -> Iterator[Attributes]:
        before: int | None = None
        for _ in range(MOST_HEADERS // _PAGE):
            page = self._index.non_patient_page(classes, sops, before, _PAGE)
            for number, _, data in page:
                before = number
                attributes = json.loads(data)
                if keys.match(attributes):
                    yield _with_bulk(attributes, lambda _: None)
            if len(page) < _PAGE:
                return
        raise QueryTooBroad(f"more than {MOST_HEADERS} instances would have to be read; name SOPInstanceUIDs")


def _of_class(header: ObjectHeader, classes: Collection[str]) -> ObjectHeader:
    if header.sop_class not in classes:
        raise InvalidInstance(f"SOPClassUID {header.sop_class} is not of the kind that is stored here")
    return header


def _is_same(known: NonPatientInstance, header: ObjectHeader) -> bool:
    return (known.digest, known.transfer_syntax) == (header.digest, header.transfer_syntax)


def _with_bulk(attributes: Mapping[str, Any], read: Callable[[str], bytes | None]) -> Attributes:
    """The same with the big values that `read` gives by their path; those it does not give are left out."""
    made: Attributes = {}
    for tag, element in attributes.items():
        if "BulkDataURI" in element:
            value = read(element["BulkDataURI"].removeprefix(_MARKER))
            if value is not None:
                made[tag] = {"vr": element["vr"], "InlineBinary": b64encode(value).decode()}
        elif element["vr"] == "SQ" and "Value" in element:
            made[tag] = {"vr": "SQ", "Value": [_with_bulk(item or {}, read) for item in element["Value"]]}
        else:
            made[tag] = element
    return made
