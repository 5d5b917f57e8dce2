"""Which images a work item is about: those of one series, or of a series for each input of its model."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from storage.archive import Archive
from storage.errors import UnknownInstance
from storage.instances import StoredInstance


@dataclass(frozen=True, slots=True)
class InputImages:
    """The images that one input of a model gets."""

    instances: tuple[StoredInstance, ...]
    """Of one series."""
    name: str = ""
    """Of the input; empty for the first one."""
    note: str = ""
    """What a reader must be told of how they were chosen."""


@dataclass(frozen=True, slots=True)
class SeriesInput:
    """The same by their UIDs, as a work item keeps them."""

    study: str
    series: str
    sops: tuple[str, ...]
    """SOP Instance UIDs in ascending order."""
    sop_classes: tuple[str, ...] = ()
    """SOP Class UIDs of the instances in the same order; empty where they were not noted."""
    name: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The instances a work item is about."""

    parts: tuple[SeriesInput, ...]
    """By input of the model. What it finds lies on the first."""
    fingerprint: str
    """SHA-256 (hex) over SOP Instance UIDs and data set digests."""
    subject: str
    """What a later work item of the same model supersedes: the first series, or the one instance where each
    instance is an input of its own."""

    @property
    def study(self) -> str:
        """Study Instance UID of the first input: where the results go."""
        return self.parts[0].study

    @property
    def series(self) -> str:
        """Series Instance UID of the first input."""
        return self.parts[0].series

    @property
    def sops(self) -> tuple[str, ...]:
        """SOP Instance UIDs of all inputs."""
        return tuple(sop for part in self.parts for sop in part.sops)

    @classmethod
    def of(cls, images: Sequence[InputImages]) -> "Inputs":
        """The images of all inputs, the first input first."""
        text = "\n".join(line for each in images for line in _lines(each))
        parts = tuple(map(_part, images))
        return cls(parts, hashlib.sha256(text.encode()).hexdigest(), parts[0].series)

    @classmethod
    def of_series(cls, instances: Sequence[StoredInstance]) -> "Inputs":
        """All of `instances`, of one series and in any order, as the one input."""
        return cls.of([InputImages(tuple(instances))])

    @classmethod
    def of_instance(cls, instance: StoredInstance, further: Sequence[InputImages] = ()) -> "Inputs":
        """One instance as an input of its own, beside those of further inputs."""
        return replace(cls.of([InputImages((instance,)), *further]), subject=instance.key.sop)


def stored_images(archive: Archive, inputs: Inputs) -> list[InputImages]:
    """What is still stored of the images of each input; inputs of which nothing is are left out."""
    found = (InputImages(_stored(archive, part), part.name, part.note) for part in inputs.parts)
    return [each for each in found if each.instances]


def are_all_there(images: Sequence[InputImages], inputs: Inputs) -> bool:
    """Whether what is stored is what the work item was made for, with the very bytes."""
    return bool(images) and Inputs.of(images).fingerprint == inputs.fingerprint


def _stored(archive: Archive, part: SeriesInput) -> tuple[StoredInstance, ...]:
    wanted = set(part.sops)
    try:
        stored = archive.instances(part.study, part.series)
    except UnknownInstance:
        return ()
    return tuple(instance for instance in stored if instance.key.sop in wanted)


def _ordered(images: InputImages) -> list[StoredInstance]:
    return sorted(images.instances, key=lambda instance: (instance.key.sop, instance.digest))


def _lines(images: InputImages) -> Iterator[str]:
    if images.name:
        yield f"> {images.name}"
    yield from (f"{instance.key.sop} {instance.digest}" for instance in _ordered(images))


def _part(images: InputImages) -> SeriesInput:
    ordered = _ordered(images)
    return SeriesInput(
        ordered[0].key.study,
        ordered[0].key.series,
        tuple(instance.key.sop for instance in ordered),
        tuple(instance.sop_class for instance in ordered),
        images.name,
        images.note,
    )
