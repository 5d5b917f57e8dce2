"""How two versions of a model differ on the same images: what decides whether one takes the other's place."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from inference.findings import Code
from inference.records import FindingRecord
from inference.workitems import Outcome

MOST_PAIRS = 5000
"""The newest of them are compared."""
MOST_EXAMPLES = 100


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of one input in one version."""

    outcome: Outcome | None
    """None while it waits, and where there is no such work."""
    findings: tuple[FindingRecord, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds by step."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One input of both versions."""

    study: str
    series: str
    current: Ended
    shadow: Ended

    @property
    def comparable(self) -> bool:
        """Both came to a result."""
        return bool(self.current.findings and self.shadow.findings)


@dataclass(frozen=True, slots=True)
class Presence:
    """How many inputs have a finding of this code, by version."""

    code: Code
    both: int
    only_current: int
    only_shadow: int
    neither: int

    @property
    def agreement(self) -> float:
        """The share of inputs on which both say the same."""
        return (self.both + self.neither) / (self.both + self.neither + self.only_current + self.only_shadow)


@dataclass(frozen=True, slots=True)
class Difference:
    """How a measurement differs: the version in shadow less the one that runs, in `unit`."""

    of: str
    unit: str
    inputs: int
    mean: float
    mean_absolute: float
    largest: float
    """The one with the largest absolute value."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions of a model, on the same images."""

    model: str
    current: str
    shadow: str
    inputs: int
    """So many were given to the version in shadow."""
    compared: int
    """So many came to a result in both."""
    outcomes: Mapping[str, Mapping[str, int]]
    """How many inputs ended how (`waiting` where they have not), by version."""
    findings: Mapping[str, int]
    """How many findings are present in what was compared, by version."""
    presence: tuple[Presence, ...]
    measurements: tuple[Difference, ...]
    seconds: Mapping[str, Mapping[str, float]]
    """Mean seconds by step in what was compared, by version."""
    differing: int
    """On so many of those compared the versions do not agree what is present."""
    examples: tuple[Pair, ...]
    """The newest of them."""

    @property
    def agreement(self) -> float | None:
        """The share of what was compared on which the versions agree on all that is present."""
        return 1 - self.differing / self.compared if self.compared else None

    def as_json(self) -> dict[str, object]:
        """Everything as values that `json.dumps` takes; of what was found only where the versions differ."""
        return {
            "model": self.model,
            "current": self.current,
            "shadow": self.shadow,
            "inputs": self.inputs,
            "compared": self.compared,
            "agreement": self.agreement,
            "outcomes": {name: dict(counts) for name, counts in self.outcomes.items()},
            "findings": dict(self.findings),
            "presence": [_presence_json(each) for each in self.presence],
            "measurements": [
                {name: getattr(each, name) for name in Difference.__slots__} for each in self.measurements
            ],
            "seconds": {name: dict(means) for name, means in self.seconds.items()},
            "differing": self.differing,
            "examples": [{"study": pair.study, "series": pair.series} for pair in self.examples],
        }


def compare(model: str, current: str, shadow: str, pairs: Sequence[Pair]) -> Comparison:
    """Count how two versions of a model differ.

    Args:
        model: its name.
        current: the version that runs.
        shadow: the version in shadow.
        pairs: from `SqlShadow.pairs`.
    """
    both = [pair for pair in pairs if pair.comparable]
    different = [pair for pair in both if _present(pair.current) != _present(pair.shadow)]
    sides = {"current": [pair.current for pair in pairs], "shadow": [pair.shadow for pair in pairs]}
    compared = {"current": [pair.current for pair in both], "shadow": [pair.shadow for pair in both]}
    return Comparison(
        model,
        current,
        shadow,
        len(pairs),
        len(both),
        {name: Counter(_outcome(each) for each in ended) for name, ended in sides.items()},
        {
            name: sum(record.presence == "present" for each in ended for record in each.findings)
            for name, ended in compared.items()
        },
        tuple(_presences(both)),
        tuple(_differences(both)),
        {name: _means(each.timings for each in ended) for name, ended in compared.items()},
        len(different),
        tuple(different[:MOST_EXAMPLES]),
    )


def _outcome(ended: Ended) -> str:
    return ended.outcome.value if ended.outcome else "waiting"


def _codes(ended: Ended, *presences: str) -> dict[tuple[str, str], Code]:
    records = (record for record in ended.findings if record.presence in presences)
    return {(record.code.value, record.code.scheme): record.code for record in records}


def _present(ended: Ended) -> set[tuple[str, str]]:
    return set(_codes(ended, "present"))


def _presences(pairs: Sequence[Pair]) -> Iterable[Presence]:
    stated: dict[tuple[str, str], Code] = {}
    for pair in pairs:
        stated |= _codes(pair.current, "present", "absent") | _codes(pair.shadow, "present", "absent")
    found = [(_present(pair.current), _present(pair.shadow)) for pair in pairs]
    for key, code in sorted(stated.items(), key=lambda each: each[1].meaning):
        counts = Counter((key in current, key in shadow) for current, shadow in found)
        cases = ((True, True), (True, False), (False, True), (False, False))
        yield Presence(code, *(counts[case] for case in cases))


def _differences(pairs: Sequence[Pair]) -> Iterable[Difference]:
    differences: dict[tuple[str, str], list[float]] = defaultdict(list)
    for pair in pairs:
        current, shadow = _measured(pair.current), _measured(pair.shadow)
        for key in current.keys() & shadow.keys():
            differences[key].append(shadow[key] - current[key])
    for (of, unit), some in sorted(differences.items()):
        yield Difference(of, unit, len(some), fmean(some), fmean(map(abs, some)), max(some, key=abs))


def _measured(ended: Ended) -> dict[tuple[str, str], float]:
    """What is measured once: of several nodules nobody knows which is which in the other version."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for record in ended.findings:
        place = [each.meaning for each in (record.site, record.laterality) if each]
        for each in record.measurements:
            words = [record.code.meaning, *place, each.concept.meaning]
            words += [each.derivation.meaning] if each.derivation else []
            found[", ".join(words), each.unit.value].append(each.value)
    return {key: values[0] for key, values in found.items() if len(values) == 1}


def _means(timings: Iterable[Mapping[str, float]]) -> dict[str, float]:
    seconds: dict[str, list[float]] = defaultdict(list)
    for each in timings:
        for step, value in each.items():
            seconds[step].append(value)
    return {step: fmean(values) for step, values in sorted(seconds.items())}


def _presence_json(presence: Presence) -> dict[str, object]:
    code = {name: getattr(presence.code, name) for name in ("value", "scheme", "meaning")}
    counts = ("both", "only_current", "only_shadow", "neither", "agreement")
    return {"code": code} | {name: getattr(presence, name) for name in counts}
