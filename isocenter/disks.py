"""How full the disks are that this process writes to."""

import shutil
from collections.abc import Iterator

from isocenter.settings import Settings
from webui.api.operations import Disk


def disks_of(settings: Settings) -> list[Disk]:
    """Free and total space where objects, spool and database are, as far as they are on this machine."""
    return [*_disks(settings)]


def _disks(settings: Settings) -> Iterator[Disk]:
    places = {"spool": settings.spool_dir}
    if settings.storage.blobs == "disk":
        places["objects"] = settings.objects_dir
    if not settings.index.url:
        places["index"] = settings.data
    by_device: dict[int, list[str]] = {}
    for name, place in places.items():
        if not place.exists():
            continue  # what is wrong is told where the archive is asked
        by_device.setdefault(place.stat().st_dev, []).append(name)
    for names in by_device.values():
        usage = shutil.disk_usage(places[names[0]])
        yield Disk(", ".join(sorted(names)), usage.free, usage.total)
