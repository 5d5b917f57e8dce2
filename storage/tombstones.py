"""What was deleted and can still be brought back: a row, and beside the objects a blob that says so.

The objects are the truth, and an index that is made anew from them alone must not bring back what somebody
deleted. So each deletion that waits has a blob of its own, which names the blobs it is about.
"""

import json
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from storage.errors import UnknownInstance
from storage.instances import Origin
from storage.ports import Blobs

TOMBSTONES = "tombstones/"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One deletion that waits."""

    id: str
    """32 hexadecimal digits."""
    study: str
    series: str | None
    """None where the whole study was deleted."""
    sop: str | None
    instances: int
    deleted_at: datetime
    due_at: datetime
    """From then on the blobs are removed, and nothing brings them back."""
    origin: Origin
    blobs: tuple[str, ...] = ()
    """What is to be removed; empty where it was not asked for."""

    @property
    def blob(self) -> str:
        return f"{TOMBSTONES}{self.id}.json"


def write(blobs: Blobs, tombstone: Tombstone) -> None:
    """Make the tombstone durable beside the objects. Raises `StorageDown`, `StorageFull`."""
    with tempfile.TemporaryDirectory(prefix="isocenter-") as folder:
        path = Path(folder) / "tombstone.json"
        path.write_bytes(_to_bytes(tombstone))
        blobs.put_if_absent(tombstone.blob, path)


def read_all(blobs: Blobs) -> list[Tombstone]:
    """Every tombstone beside the objects; what is none is left out. Raises `StorageDown`."""
    found = []
    for each in list(blobs.list(TOMBSTONES)):
        try:
            found.append(_from_bytes(b"".join(blobs.stream(each.name))))
        except (UnknownInstance, ValueError, KeyError, TypeError):
            continue  # removed since it was listed, or not ours
    return found


def _to_bytes(tombstone: Tombstone) -> bytes:
    origin = tombstone.origin
    return json.dumps(
        {
            "id": tombstone.id,
            "study": tombstone.study,
            "series": tombstone.series,
            "sop": tombstone.sop,
            "instances": tombstone.instances,
            "deleted_at": tombstone.deleted_at.isoformat(),
            "due_at": tombstone.due_at.isoformat(),
            "origin": [origin.protocol, origin.peer, origin.address],
            "blobs": tombstone.blobs,
        }
    ).encode()


def _from_bytes(data: bytes) -> Tombstone:
    values = json.loads(data)
    moments = {
        name: datetime.fromisoformat(values[name]).astimezone(UTC) for name in ("deleted_at", "due_at")
    }
    origin, blobs = Origin(*values["origin"]), tuple(map(str, values["blobs"]))
    return Tombstone(**(values | moments | {"origin": origin, "blobs": blobs}))
