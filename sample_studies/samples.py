"""The sample studies by name, made on first use."""

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sample_studies.chest import ChestPhantom
from sample_studies.dicom import GENERATOR, Patient, write_ct, write_dx
from sample_studies.nodules import Nodule


@dataclass(frozen=True)
class Sample:
    """One sample study."""

    title: str
    phantom: ChestPhantom
    patient: Patient
    write: Callable[[ChestPhantom, Path, Patient], list[Path]]


_NODULES = (
    *(Nodule(diameter) for diameter in (5.0, 6.0, 8.0, 10.0, 12.0)),
    Nodule(9.0, pleural=True),
)

SAMPLES = {
    "red-triangle": Sample(
        "Chest CT, mild emphysema, six nodules",
        ChestPhantom(emphysema=0.05, nodules=_NODULES, seed=3),
        Patient("Red^Triangle", "SAMPLE-1", "F", "19581103", "SAMPLE1"),
        write_ct,
    ),
    "blue-circle": Sample(
        "Chest CT, nothing abnormal",
        ChestPhantom(seed=4),
        Patient("Blue^Circle", "SAMPLE-2", "M", "19790521", "SAMPLE2"),
        write_ct,
    ),
    "green-square": Sample(
        "Chest radiograph, projected from a CT of the same kind",
        ChestPhantom(slices=150, spacing=2.0, noise=0.0, nodules=(Nodule(22.0),), seed=5),
        Patient("Green^Square", "SAMPLE-3", "F", "19670214", "SAMPLE3"),
        write_dx,
    ),
}


def ensure_sample(name: str, folder: Path) -> list[Path]:
    """The files of a sample study, made in `folder` unless they are there already.

    Args:
        name: a key of `SAMPLES`.
        folder: a cache; each sample gets a folder of its own with the files and `truth.json`. Two processes
            may ask at the same time.

    Returns:
        Part 10 files in order of Instance Number.

    Raises:
        KeyError: there is no such sample; the message lists those there are.
        OSError: `folder` cannot be written.
    """
    place = _place(name, folder)
    if not place.exists():
        _make(SAMPLES[name], place)
    return sorted(place.glob("*.dcm"))


def sample_truth(name: str, folder: Path) -> dict[str, Any]:
    """What the sample really contains, as `Truth.summary` says it; the sample is made when missing."""
    ensure_sample(name, folder)
    truth: dict[str, Any] = json.loads((_place(name, folder) / "truth.json").read_text())
    return truth


def _place(name: str, folder: Path) -> Path:
    if name not in SAMPLES:
        raise KeyError(f"no sample study {name!r}; there are {', '.join(SAMPLES)}")
    return folder / f"{name}-v{GENERATOR}"


def _make(sample: Sample, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        sample.write(sample.phantom, making, sample.patient)
        (making / "truth.json").write_text(json.dumps(sample.phantom.truth.summary(), indent=1) + "\n")
        # A folder appears under its name only when it is whole; whoever comes second keeps the first.
        making.chmod(0o755)
        if not place.exists():
            making.rename(place)
    except OSError:
        if not place.exists():
            raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
