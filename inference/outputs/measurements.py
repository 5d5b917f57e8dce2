"""Named numbers as measurement groups, tied to the segments they are about."""

from collections.abc import Mapping

import numpy as np

from inference.codes import code, optional_code
from inference.findings import Finding, Measurement
from inference.outputs.said import Answer, Said, element
from models.schema.outputs import Group, MeasurementOutput, Value


def read_measurements(output: MeasurementOutput, answer: Answer, segments: Mapping[str, int]) -> Said:
    """The groups that have numbers.

    Args:
        output: the card's table.
        answer: what the model gave.
        segments: numbers of the segments that have voxels, by name.

    Raises:
        ModelError: an output has no element where the card says.
    """
    groups = [group for group in output.groups if group.segment is None or group.segment in segments]
    found = [_finding(group, output.name, answer, segments) for group in groups]
    return Said(tuple(finding for finding in found if finding.measurements))


def _finding(group: Group, output: str, answer: Answer, segments: Mapping[str, int]) -> Finding:
    return Finding(
        key=group.key,
        code=code(group.finding),
        presence="not stated",
        site=optional_code(group.site),
        laterality=optional_code(group.laterality),
        measurements=_measurements(group, output, answer),
        segment=None if group.segment is None else segments[group.segment],
        critical=group.critical,
        source=answer.run.frames[0] if len(answer.run.frames) == 1 else None,
    )


def _measurements(group: Group, output: str, answer: Answer) -> tuple[Measurement, ...]:
    places = [(value, value.output or output) for value in group.values]
    pairs = [(value, element(answer.outputs[name], value.index, name)) for value, name in places]
    return tuple(_measurement(value, number) for value, number in pairs if np.isfinite(number))


def _measurement(value: Value, number: float) -> Measurement:
    return Measurement(
        code(value.concept),
        round(number, value.decimals),
        code(value.unit),
        optional_code(value.derivation),
        optional_code(value.method),
    )
