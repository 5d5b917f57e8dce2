"""`python -m sample_studies [FOLDER]` makes all sample studies."""

import argparse
import sys
import time
from pathlib import Path

from sample_studies.samples import SAMPLES, ensure_sample


def main() -> None:
    """Make the sample studies and say where they are."""
    parser = argparse.ArgumentParser(prog="python -m sample_studies", description="Make the sample studies.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("sample_studies/generated"))
    folder = parser.parse_args().folder
    for name, sample in SAMPLES.items():
        started = time.perf_counter()
        paths = ensure_sample(name, folder)
        took = time.perf_counter() - started
        sys.stdout.write(f"{paths[0].parent}: {len(paths)} files, {took:.1f} s. {sample.title}.\n")


if __name__ == "__main__":
    main()
