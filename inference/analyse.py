"""One model over one set of images: the whole way from stored frames to an `Analysis`."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

from inference.findings import Analysis, ModelIdentity
from inference.inputs import InputImages
from inference.interpret import Interpretation, answered, interpret
from inference.outputs.said import Answer
from inference.patches import Array, run_in_patches
from inference.prepare import Run, prepare
from inference.several import missing
from inference.suitability import Unsuitable
from models.card import Card
from models.runtime import Runtime
from storage.pixels.decode import FrameSource


def analyse(card: Card, archive: FrameSource, runtime: Runtime, images: Sequence[InputImages]) -> Analysis:
    """Run a model over the images of its inputs.

    Args:
        card: the model.
        archive: where the images are.
        runtime: what runs the model.
        images: the series of each input, or the part of it that the work is about, the first input first;
            images that the card excludes are left out.

    Returns:
        The findings and segments, or why there are none (`Analysis.refusal`).

    Raises:
        ModelError: the model is broken, or does not keep to its card.
        StorageError: the archive cannot give the images.
    """
    try:
        (analysis,) = analyse_all(card, archive, runtime, [images])
    except Unsuitable as reason:
        sources = tuple(instance for each in images for instance in each.instances)
        return Analysis(identity_of(card, runtime), sources, refusal=str(reason))
    return analysis


def analyse_all(
    card: Card, archive: FrameSource, runtime: Runtime, wanted: Sequence[Sequence[InputImages]]
) -> list[Analysis]:
    """Run a model several times, each over images of its own, together where the card allows batches.

    Args:
        card: the model.
        archive: where the images are.
        runtime: what runs the model.
        wanted: of each time the images, as of `analyse`.

    Returns:
        What was found each time, with its share of the time; none is a refusal of the images.

    Raises:
        Unsuitable: some images do not suit the model, or its answer is no answer.
        ModelError: the model is broken, or does not keep to its card.
        StorageError: the archive cannot give the images.
    """
    seconds: dict[str, float] = {}
    answers = _answers(card, archive, runtime, wanted, seconds)
    with _timed(seconds, "interpret"):
        said = [interpret(card, each) for each in answers]
    # Only now: a model that found too little memory on the graphics card has run on the CPU.
    identity = identity_of(card, runtime)
    share = {step: took / len(wanted) for step, took in seconds.items()}
    each_time = zip(wanted, answers, said, strict=True)
    return [replace(_analysis(card, identity, *each), timings=dict(share)) for each in each_time]


def _analysis(
    card: Card,
    identity: ModelIdentity,
    images: Sequence[InputImages],
    answers: Sequence[Answer],
    said: Interpretation,
) -> Analysis:
    if said.refusals:
        raise Unsuitable("; ".join(said.refusals))
    frames = tuple(frame for each in answers for frame in each.run.frames)
    further = [frame for each in answers for frame in each.run.further]
    notes = [each.note for each in images if each.note]
    return Analysis(
        replace(identity, inputs=_series(card, images)),
        tuple(dict.fromkeys(frame.instance for frame in (*frames, *further))),
        frames,
        said.findings,
        said.segments,
        said.looked_for,
        (*notes, *missing(card, images), *said.flags),
    )


def identity_of(card: Card, runtime: Runtime) -> ModelIdentity:
    """Which model it is, and what runs it. Raises `ModelError` when it cannot be loaded."""
    return ModelIdentity(
        card.name,
        card.version,
        card.title,
        card.manufacturer,
        card.model.sha256,
        card.digest,
        tuple(runtime.describe(card).items()),
    )


def _series(card: Card, images: Sequence[InputImages]) -> tuple[tuple[str, str], ...]:
    """Series Instance UID by input, where the model has several."""
    if len(card.images) == 1:
        return ()
    return tuple((each.name or card.image.name, each.instances[0].key.series) for each in images)


def _answers(
    card: Card,
    archive: FrameSource,
    runtime: Runtime,
    wanted: Sequence[Sequence[InputImages]],
    seconds: dict[str, float],
) -> list[list[Answer]]:
    """The answers of each time."""
    answers: list[list[Answer]] = [[] for _ in wanted]
    runs = (
        (own, run) for own, each in zip(answers, wanted, strict=True) for run in prepare(card, archive, each)
    )
    while True:
        with _timed(seconds, "prepare"):
            batch = list(islice(runs, card.runtime.max_batch))
        if not batch:
            return answers
        outputs = _outputs(card, runtime, [run for _, run in batch], seconds)
        with _timed(seconds, "interpret"):
            for (own, run), each in zip(batch, outputs, strict=True):
                own.append(answered(card, run, each))


def _outputs(
    card: Card, runtime: Runtime, batch: Sequence[Run], seconds: dict[str, float]
) -> list[dict[str, Array]]:
    patch = card.image.patch
    if patch is None:
        return runtime.run_all(card, [run.inputs for run in batch], seconds)
    return [run_in_patches(card, runtime, run.inputs, patch, seconds) for run in batch]


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - start
