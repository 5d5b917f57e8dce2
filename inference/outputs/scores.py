"""Scores per class as findings about a frame or a volume."""

from typing import Any

import numpy as np
import numpy.typing as npt

from inference.codes import code, optional_code
from inference.findings import Finding, Score
from inference.outputs.said import Answer, Said
from models.errors import ModelError
from models.schema.outputs import ScoresOutput


def read_scores(output: ScoresOutput, answer: Answer) -> Said:
    """The classes that the card's rule chooses.

    Raises:
        ModelError: there are not as many scores as labels, or one is no number.
    """
    scores = _activated(output, answer.outputs[output.name])
    best = int(scores.argmax())
    source = answer.run.frames[0] if len(answer.run.frames) == 1 else None
    found = []
    for index, label in enumerate(output.labels):
        chosen = output.decide == "threshold" or index == best
        if label.code is None or not label.finding or not chosen or scores[index] < label.threshold:
            continue
        found.append(
            Finding(
                key=label.label,
                code=code(label.code),
                site=optional_code(label.site),
                laterality=optional_code(label.laterality),
                score=Score(float(scores[index]), code(output.score)),
                source=source,
                critical=label.critical,
            )
        )
    if output.decide == "top-1" and found:
        # The one class that was chosen says nothing against the others.
        return Said(tuple(found), tuple(finding.code for finding in found))
    return Said(tuple(found), tuple(code(each.code) for each in output.labels if each.finding and each.code))


def _activated(output: ScoresOutput, array: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    raw = array.astype(np.float64).reshape(-1)
    if raw.size != len(output.labels):
        raise ModelError(f"output {output.name!r} has {raw.size} scores for {len(output.labels)} labels")
    if not np.isfinite(raw).all():
        raise ModelError(f"output {output.name!r} has scores that are no numbers")
    if output.activation == "softmax":
        powers = np.exp(raw - raw.max())
        return np.asarray(powers / powers.sum())
    if output.activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-np.clip(raw, -500, 500))))
    return raw
