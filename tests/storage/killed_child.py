"""Stores instances one after the other and prints each SOP Instance UID when it is acknowledged."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from storage.archive import Archive
from storage.blobs.disk import DiskBlobs
from storage.instances import Origin
from storage.spool import Spool
from storage.sql.engine import connect
from storage.sql.index import SqlIndex
from tests.storage.builders import part10, spooled


def main(url: str, folder: Path, seed: str, count: int) -> None:
    archive = Archive(DiskBlobs(folder / "blobs"), SqlIndex(connect(url)))
    with Spool(folder / "spool") as spool, archive.delivery(Origin("import", seed)) as delivery:

        def store(number: int) -> None:
            study = f"1.4.{number % 5}"
            sop = f"{study}.{seed if number % 7 else 0}.{number}"
            data = part10(StudyInstanceUID=study, SeriesInstanceUID=f"{study}.1", SOPInstanceUID=sop)
            delivery.ingest(spooled(spool, data))
            sys.stdout.write(f"{sop}\n")
            sys.stdout.flush()

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(store, range(count)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
