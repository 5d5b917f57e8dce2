"""`python -m tests.models.evaluate_nodules` writes the table in the nodule model's README (minutes)."""

import sys
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from models.card import load_card
from models.graphs.__main__ import CARDS
from models.runtime import Runtime
from tests.models.nodule_phantoms import JUDGED, distances_mm, is_hit, phantom

SIZES = ((4, 6), (6, 8), (8, 12))
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"


@dataclass
class Tally:
    """What was found in scans of one slice distance."""

    scans: int = 0
    found: dict = field(default_factory=lambda: defaultdict(list))
    false: dict = field(default_factory=lambda: defaultdict(int))
    errors: list = field(default_factory=list)


def compare(scan, candidates, threshold, tally):
    """Count hits, misses and false candidates of one scan."""
    tally.scans += 1
    hits = np.zeros(len(candidates), bool)
    for nodule in scan.truth.nodules:
        away = distances_mm(candidates[:, :3], nodule, scan.voxel_mm)
        near = is_hit(away, nodule)
        hits |= near
        kept = near & (candidates[:, 4] >= threshold)
        size = next(size for size in SIZES if nodule.diameter <= size[1])
        tally.found["pleural" if nodule.pleural else size].append(kept.any())
        if kept.any() and not nodule.pleural:
            tally.errors.append(candidates[kept, 3][0] - nodule.diameter)
    for limit in (0.3, 0.5, 0.8):
        tally.false[limit] += int((~hits & (candidates[:, 4] >= limit)).sum())


def row(name, tally):
    """One line of the table."""
    shares = [tally.found[key] for key in (*SIZES, "pleural")]
    cells = [f"{sum(share)}/{len(share)}" for share in shares]
    cells += [f"{tally.false[limit] / tally.scans:.1f}" for limit in (0.3, 0.5, 0.8)]
    cells.append(f"{np.mean(tally.errors):+.1f} ± {np.std(tally.errors):.1f}")
    return f"| {name}, {tally.scans} scans | " + " | ".join(cells) + " |"


def main():
    """Judge the model on phantoms it was not fitted on."""
    card, runtime = load_card(CARDS / "ct-nodule-candidates"), Runtime(threads=1)
    threshold = card.outputs[0].threshold
    tallies = defaultdict(Tally)
    for seed in JUDGED:
        scan = phantom(seed)
        spacing = np.array(scan.voxel_mm, np.float32)
        candidates = runtime.run(card, {"hu": scan.hu[None, None], "spacing": spacing})["candidates"]
        compare(scan, candidates, threshold, tallies[scan.spacing])
    sizes = " | ".join(f"{low} to {high} mm" for low, high in SIZES)
    false = "false per scan at score 0.3 | at 0.5 | at 0.8"
    lines = [
        f"| slices | {sizes} | on the wall, 5 to 12 mm | {false} | diameter, mm |",
        "|---" * 9 + "|",
        *(row(f"{spacing} mm", tallies[spacing]) for spacing in sorted(tallies)),
    ]
    readme = card.folder / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    readme.write_text(before + BEGIN + "\n".join(lines) + "\n" + END + rest.split(END)[1])
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
