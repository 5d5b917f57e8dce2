"""`python -m models.graphs` writes the ONNX files of our models and pins them in their cards."""

import hashlib
import re
import sys
from collections.abc import Callable
from pathlib import Path

import onnx

from models.graphs import lung, nodules

CARDS = Path(__file__).parents[1] / "cards"
BUILDERS: dict[str, Callable[[], onnx.ModelProto]] = {
    "ct-lung-density": lung.build,
    "ct-nodule-candidates": nodules.build,
}

_PIN = re.compile(r'^sha256 = "[0-9a-f]*"$', re.MULTILINE)


def main() -> None:
    """Write every model and its digest, and say which have changed."""
    for name, build in BUILDERS.items():
        data = build().SerializeToString(deterministic=True)
        digest = hashlib.sha256(data).hexdigest()
        (CARDS / name / "model.onnx").write_bytes(data)
        card = CARDS / name / "card.toml"
        before = card.read_text()
        after = _PIN.sub(f'sha256 = "{digest}"', before, count=1)
        card.write_text(after)
        state = "unchanged" if after == before else "changed: raise the version in card.toml"
        sys.stdout.write(f"{name}: {len(data)} bytes, sha256 {digest}, {state}\n")


if __name__ == "__main__":
    main()
