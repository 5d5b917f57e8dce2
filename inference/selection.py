"""Which series the inputs of a model get: one of those that arrived, and those that go with it."""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from inference.inputs import InputImages, Inputs
from inference.priors import earlier_studies, later_studies
from inference.several import reason_for_none
from inference.suitability import fewest, reason_against_all
from models.card import Card
from models.external import ExternalCard
from models.schema.images import Match
from models.schema.inputs import ImageInput
from storage.archive import Archive
from storage.errors import UnknownInstance
from storage.instances import StoredInstance
from storage.pixels.attributes import Attributes, integer, text

_WHEN = (("00080021", "00080031"), ("00080022", "00080032"), ("00080023", "00080033"))
"""Series, Acquisition and Content Date and Time."""
_SERIES_NUMBER, _MODALITY = "00200011", "00080060"


class Series:
    """The images of a series as they are stored now; their headers are read when they are asked for."""

    def __init__(self, archive: Archive, instances: Sequence[StoredInstance]) -> None:
        self._archive = archive
        self.instances = tuple(instances)
        self.study, self.uid = instances[0].key.study, instances[0].key.series

    @cached_property
    def headers(self) -> tuple[Attributes, ...]:
        """Of the instances, in their order."""
        return tuple(map(json.loads, self._archive.headers(self.instances)))

    @cached_property
    def first(self) -> Attributes:
        """Of the first instance."""
        header: Attributes = json.loads(next(self._archive.headers(self.instances[:1])))
        return header

    @property
    def frames(self) -> int:
        """How many frames its pictures have."""
        return sum(instance.number_of_frames for instance in self.instances)

    @property
    def pictures(self) -> tuple[StoredInstance, ...]:
        """Those with pixels."""
        return tuple(instance for instance in self.instances if instance.number_of_frames)

    @property
    def rank(self) -> tuple[int, str, int, str]:
        """What is greater in the better of two: frames, then time, Series Number and UID of the newer one."""
        at = (text(self.first, date) + text(self.first, time) for date, time in _WHEN)
        newest = next(filter(None, at), "")
        return self.frames, newest, integer(self.first, _SERIES_NUMBER) or 0, self.uid

    def suitable(self, rules: Sequence[Match]) -> list[StoredInstance]:
        """The pictures that keep all rules; none where there are too few of them."""
        if not self.frames or any(each.modality and not self._is_of(each.modality) for each in rules):
            return []
        found = [
            instance
            for instance, header in zip(self.instances, self.headers, strict=True)
            if instance.number_of_frames and reason_against_all(rules, header) is None
        ]
        return found if len(found) >= fewest(rules) else []

    def _is_of(self, modalities: Sequence[str]) -> bool:
        # All instances of a series are of one modality (PS3.3 C.7.3.1.1.1).
        return text(self.first, _MODALITY).upper() in map(str.upper, modalities)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a model would run on, and the header of one of its images."""

    inputs: Inputs
    header: Attributes


class Selection:
    """Chooses among the stored series. What it has read it keeps: use it for one moment and drop it.

    Args:
        archive: where the images are.
        waiting: those of these series (UIDs) that are not complete.
    """

    def __init__(
        self, archive: Archive, waiting: Callable[[Collection[str]], Collection[str]] = lambda _: ()
    ) -> None:
        self._archive = archive
        self._waiting = waiting
        self._known: dict[tuple[str, str | None], list[Series]] = {}
        self.reasons: list[str] = []
        """Why a model gets nothing though a series is for its first input."""

    def header(self, study: str, series: str) -> Attributes:
        """Of the first image of a series; raises as `in_study`."""
        return self._one(study, series).first

    def in_study(self, card: Card | ExternalCard, study: str, series: str | None = None) -> list[Chosen]:
        """What a model would run on in a study; or only with this series as its first input.

        Raises:
            UnknownInstance: there is no such study or series.
        """
        series_there = self._series(study, series)
        if not series_there:
            raise UnknownInstance(f"nothing is stored of {series or study}")
        return [chosen for each in series_there for chosen in self._on(card, each)]

    def after(self, card: Card | ExternalCard, study: str, series: str) -> list[Chosen]:
        """What a model would run on now that a series is complete; also where it is another of its inputs.

        Raises as `in_study`.
        """
        arrived = self._one(study, series)
        if isinstance(card, ExternalCard) or len(card.images) == 1:
            return self._on(card, arrived)
        taken_as = [image for image in card.images if arrived.suitable(card.rules_of(image))]
        studies = [study] if any(image.origin == "study" for image in taken_as) else []
        priors = [card.rules_of(image) for image in taken_as if image.origin == "prior study"]
        if priors:
            studies += self._followed(arrived, priors)
        stored = (series for each in studies for series in self._series(each))
        return [chosen for each in stored for chosen in self._on(card, each)]

    def _followed(self, prior: Series, inputs: Sequence[Sequence[Match]]) -> Iterator[str]:
        """The later studies of a patient up to the one that is itself the newer prior of those after it."""
        for study in later_studies(self._archive, prior.first):
            yield study
            if all(any(each.suitable(rules) for each in self._series(study)) for rules in inputs):
                return

    def _one(self, study: str, series: str) -> Series:
        found = self._series(study, series)
        if not found:
            raise UnknownInstance(f"nothing is stored of series {series}")
        return found[0]

    def _series(self, study: str, series: str | None = None) -> list[Series]:
        """Those of a study, or the one; none where they have been deleted meanwhile."""
        key = study, series
        if key not in self._known:
            found: dict[str, list[StoredInstance]] = {}
            with suppress(UnknownInstance):
                for instance in self._archive.instances(study, series):
                    found.setdefault(instance.key.series, []).append(instance)
            self._known[key] = [Series(self._archive, some) for some in found.values()]
        return self._known[key]

    def _on(self, card: Card | ExternalCard, first: Series) -> list[Chosen]:
        """What a model would run on with this series as its first input.

        A model of whole series gets all its images when enough of them are what it is for: that others among
        them are not is for its checks to say. Other models get each image that they are for by itself.
        """
        suitable = first.suitable(card.rules_of(card.image) if isinstance(card, Card) else [card.applies_to])
        if not suitable:
            return []
        try:
            further = list(self._further(card, first)) if isinstance(card, Card) else []
        except _NotNow as reason:
            self.reasons.append(str(reason))
            return []
        if card.applies_to.scope == "series":
            return [Chosen(Inputs.of([InputImages(first.pictures), *further]), first.first)]
        return [Chosen(Inputs.of_instance(instance, further), first.first) for instance in suitable]

    def _further(self, card: Card, first: Series) -> Iterator[InputImages]:
        """What the inputs after the first get, each another series; raises `_NotNow`."""
        taken = {first.uid}
        if len(card.images) > 1:
            self._check_complete([first])
        for image in card.images[1:]:
            found = self._candidates(card, image, first, taken)
            if found:
                taken.add(found[0].uid)
                chosen = found[0].pictures
                if card.applies_to.scope != "series":
                    chosen = tuple(found[0].suitable(card.rules_of(image))[-1:])
                yield InputImages(chosen, image.name, _note(image, found))
            elif image.origin == "study" and not image.optional:
                raise _NotNow(reason_for_none(image))

    def _candidates(
        self, card: Card, image: ImageInput, first: Series, taken: Collection[str]
    ) -> list[Series]:
        """The series for an input, the best first, of the newest study that has any; raises `_NotNow`."""
        prior = image.origin == "prior study"
        studies = earlier_studies(self._archive, first.first) if prior else [first.study]
        for study in studies:
            rules = card.rules_of(image)
            found = [each for each in self._series(study) if each.uid not in taken and each.suitable(rules)]
            self._check_complete(found)
            if found:
                return sorted(found, key=lambda each: each.rank, reverse=True)
        return []

    def _check_complete(self, series: Sequence[Series]) -> None:
        if waiting := self._waiting([each.uid for each in series]):
            raise _NotNow(f"series {min(waiting)} is not complete yet")


class _NotNow(Exception):
    """A series that is needed has not come, or is not complete; the message says which."""


def _note(image: ImageInput, found: Sequence[Series]) -> str:
    if len(found) == 1:
        return ""
    number = integer(found[0].first, _SERIES_NUMBER)
    which = found[0].uid if number is None else f"number {number}"
    return f"{len(found)} series are there for input {image.name!r}: {which} was taken, the largest or newest"
