"""From files in folders into an archive."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from storage.delivery import Delivery
from storage.instances import Accepted, Refused
from storage.spool import Spool, SpoolFile

BATCH = 64
CHUNK = 1 << 20


def files_below(paths: Iterable[Path]) -> list[Path]:
    """Every file among `paths` and in the folders among them, in order of their names."""
    found: list[Path] = []
    for path in paths:
        found += sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    return found


def _spooled(path: Path, spool: Spool) -> SpoolFile:
    file = spool.new()
    with path.open("rb") as source:
        while chunk := source.read(CHUNK):
            file.write(chunk)
    return file


def import_files(
    files: list[Path], spool: Spool, delivery: Delivery
) -> Iterator[tuple[Path, Accepted | Refused]]:
    """Store `files`, a batch at a time, and say what became of each."""
    for start in range(0, len(files), BATCH):
        group = files[start : start + BATCH]
        yield from zip(group, delivery.ingest_many([_spooled(path, spool) for path in group]), strict=True)
