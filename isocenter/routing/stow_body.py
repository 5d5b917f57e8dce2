"""The body of a STOW-RS request (PS3.18 8.6.1, 10.5.1): instance after instance, none whole in memory."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import chain

from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import write_file_meta_info

from dicom_node.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.requestor import Proposal
from dicom_node.suboperations import Unsendable, data_set, form, reason
from storage.archive import Archive
from storage.errors import StorageError
from storage.instances import StoredInstance
from storage.spool import Spool

_NOT_ON_THE_WEB = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.2"})
"""Implicit VR Little Endian and Explicit VR Big Endian (PS3.18 8.7.3.4)."""
_PREAMBLE = bytes(128) + b"DICM"


class StowBody:
    """Writes instances as the parts of a multipart body."""

    def __init__(self, archive: Archive, spool: Spool, allowed: Sequence[str] | None) -> None:
        """Begin with nothing.

        Args:
            archive: that has the instances.
            spool: where converted ones wait until they are whole.
            allowed: transfer syntaxes; None: as stored, where that may be in a web service.
        """
        self._archive = archive
        self._spool = spool
        self._allowed = allowed
        self._boundary = uuid.uuid4().hex
        self.left_out: dict[str, str] = {}
        """SOP Instance UIDs of what cannot be sent, and why."""

    @property
    def content_type(self) -> str:
        """Of the request."""
        return f'multipart/related; type="application/dicom"; boundary={self._boundary}'

    def chunks(
        self,
        instances: Iterable[StoredInstance],
        paced: Callable[[Iterable[bytes]], Iterator[bytes]],
    ) -> Iterator[bytes]:
        """The body. Raises `StorageError` when an instance breaks off in the middle."""
        for instance in instances:
            begun = False
            try:
                proposal = form(instance, self._accepts)
                with self._file(instance, proposal[1]) as file:
                    begun = True
                    yield self._head(proposal[1])
                    yield from paced(file)
                    yield b"\r\n"
            except (StorageError, Unsendable) as error:
                if begun:
                    raise
                self.left_out[instance.key.sop] = reason(error)
        yield f"--{self._boundary}--\r\n".encode()

    def _accepts(self, proposal: Proposal) -> bool:
        if self._allowed is None:
            return proposal[1] not in _NOT_ON_THE_WEB
        return proposal[1] in self._allowed

    def _head(self, syntax: str) -> bytes:
        kind = f"application/dicom; transfer-syntax={syntax}"
        return f"--{self._boundary}\r\nContent-Type: {kind}\r\n\r\n".encode()

    @contextmanager
    def _file(self, instance: StoredInstance, syntax: str) -> Iterator[Iterator[bytes]]:
        with data_set(self._archive, self._spool, instance, syntax) as chunks:
            yield chain((_file_head(instance, syntax),), chunks)


def _file_head(instance: StoredInstance, syntax: str) -> bytes:
    """Preamble, prefix and file meta information (PS3.10 7.1)."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = instance.sop_class
    meta.MediaStorageSOPInstanceUID = instance.key.sop
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    buffer = BytesIO(_PREAMBLE)
    buffer.seek(0, 2)
    write_file_meta_info(buffer, meta)
    return buffer.getvalue()
