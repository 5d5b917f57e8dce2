"""How many images a series has, as its images say, and how long its sender pauses."""

from datetime import timedelta

import pytest
from pydicom import Dataset

from inference.expected import Expected, expected_images
from inference.pace import ENOUGH, LONGEST, REMEMBERED, learnt_wait, remembered

LEAST = timedelta(seconds=1)


def told(**attributes) -> Expected:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return expected_images(ds.to_json_dict())


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, Expected()),
        ({"NumberOfSeriesRelatedInstances": 12, "ImagesInAcquisition": 6}, Expected(12, exact=True)),
        ({"InConcatenationTotalNumber": 3}, Expected(3, exact=True)),
        ({"SeriesType": ["WHOLE BODY", "IMAGE"], "NumberOfSlices": 47}, Expected(47, exact=True)),
        (
            {"SeriesType": ["DYNAMIC", "IMAGE"], "NumberOfSlices": 47, "NumberOfTimeSlices": 3},
            Expected(141, exact=True),
        ),
        ({"SeriesType": ["GATED", "IMAGE"], "NumberOfSlices": 47}, Expected()),
        ({"ImagesInAcquisition": 28}, Expected(28)),
        ({"ImagesInAcquisition": -1}, Expected()),
    ],
    ids=["nothing", "series", "concatenation", "PET", "dynamic PET", "gated PET", "acquisition", "nonsense"],
)
def test_an_image_says_how_many_there_are(attributes, expected):
    assert told(**attributes) == expected


@pytest.mark.parametrize(
    ("expected", "stored", "missing"),
    [
        (Expected(), 3, None),
        (Expected(4, exact=True), 3, 1),
        (Expected(4, exact=True), 5, 0),
        (Expected(4), 3, 1),
        (Expected(4), 8, 0),
        (Expected(4), 9, None),
    ],
    ids=[
        "nothing told",
        "too few",
        "more than told",
        "an acquisition",
        "two acquisitions",
        "part of a third",
    ],
)
def test_how_many_are_missing(expected, stored, missing):
    assert expected.missing(stored) == missing


def test_little_is_learnt_from_few_series():
    assert learnt_wait([0.0] * (ENOUGH - 1), LEAST) is None


@pytest.mark.parametrize(
    ("pauses", "seconds"),
    [
        ([0.0] * 10, 1),
        ([3.0] * 10, 6),
        ([*[0.0] * 29, 20, 20, 20], 1),
        ([45.0] * 10, LONGEST.total_seconds()),
    ],
    ids=["one delivery each", "an association per image", "some exceptions", "as long as is waited at all"],
)
def test_the_wait_is_twice_what_most_series_keep_to(pauses, seconds):
    assert learnt_wait(pauses, LEAST) == timedelta(seconds=seconds)


def test_old_series_are_forgotten():
    pauses: list[float] = []
    for number in range(REMEMBERED + 3):
        pauses = remembered(pauses, timedelta(seconds=number))
    assert (pauses[0], pauses[-1]) == (3, REMEMBERED + 2)
