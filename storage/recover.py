"""After a crash: what was acknowledged is made again from the sealed files in the spool.

Kill a process, and everything it did is still there; let the power fail, and of the last second there may be
only these files. So every step looks first whether there is anything to do.
"""

import logging
from datetime import UTC, datetime
from pathlib import Path

from storage.errors import DuplicateInstance, InvalidInstance
from storage.header import Header
from storage.ingest import Ingest
from storage.instances import Origin
from storage.non_patient import SOP_CLASSES
from storage.part10 import meta_of
from storage.ports import Blobs
from storage.seal import is_whole
from storage.spool import Spool
from storage.sql.index import SqlIndex

_log = logging.getLogger(__name__)


def recover(spool: Spool, ingest: Ingest, blobs: Blobs, index: SqlIndex) -> int:
    """Store what dead processes left in the spool; how many instances had to be made again.

    Raises:
        StorageDown, StorageFull: it could not be finished; the files stay.
    """
    again = 0
    for files in spool.abandoned():
        if files:
            index.skip_event_numbers()
        for path in files:
            again += is_whole(path) and _make_again(path, spool, ingest, blobs, index)
        blobs.settle()
    return again


def _make_again(path: Path, spool: Spool, ingest: Ingest, blobs: Blobs, index: SqlIndex) -> bool:
    meta = meta_of(path)
    if meta.sop_class in SOP_CLASSES:
        return False  # what belongs to no patient is acknowledged only when all of it is durable
    origin = Origin("dimse", meta.source_ae)
    received = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    with spool.adopt(path) as file:
        try:
            header = ingest.read(file, origin)
            if index.was_removed_since(header.key, received) or _is_there(file.path, header, blobs, index):
                return False
            accepted = ingest.store(file, header, origin, delivery=None)
        except (InvalidInstance, DuplicateInstance) as error:
            _log.warning("not made again after a crash: %s", error)
            return False
    if not accepted.duplicate:
        _log.warning("made again after a crash: instance %s from %s", header.key.sop, origin.peer)
    return not accepted.duplicate


def _is_there(path: Path, header: Header, blobs: Blobs, index: SqlIndex) -> bool:
    """The instance has its row; its blob has its name again, should that have been lost alone."""
    for known in index.versions(header.key.sop):
        if (known.key, known.digest, known.transfer_syntax) == (
            header.key,
            header.digest,
            header.transfer_syntax,
        ):
            if blobs.put_if_absent(known.blob, path):
                _log.warning("made again after a crash: the name of %s", known.blob)
            return True
    return False
