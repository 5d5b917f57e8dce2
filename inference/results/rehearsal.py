"""Writes results that nobody gets, so that the first real ones are not slowed by what loads on first use."""

import json
from datetime import UTC, datetime

import numpy as np
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from inference.findings import Analysis, Code, Finding, ModelIdentity, Segment, SourceFrame
from inference.results.context import ResultContext
from inference.results.sources import source_images
from inference.results.write import result_objects
from storage.instances import InstanceKey, StoredInstance

_ANYTHING = Code("123037004", "SCT", "Anatomical Structure")


def rehearse() -> None:
    """Make the mask and the report of one dot on one made-up slice."""
    key = InstanceKey("2.25.1", "2.25.2", "2.25.3")
    slice_ = StoredInstance(key, CTImageStorage, ExplicitVRLittleEndian, 0, "", "")
    labels = np.ones((1, 1, 1), np.uint8)
    analysis = Analysis(
        ModelIdentity("rehearsal", "1", "Rehearsal", "Isocenter", "0" * 64, "0" * 64),
        (slice_,),
        (SourceFrame(slice_),),
        (Finding("dot", _ANYTHING, segment=1),),
        (Segment(1, "dot", _ANYTHING, _ANYTHING, None, (255, 255, 255), labels, (1,)),),
    )
    values = {
        "00080016": ("UI", [CTImageStorage]),
        "00080018": ("UI", [key.sop]),
        "00080060": ("CS", ["CT"]),
        "0020000D": ("UI", [key.study]),
        "0020000E": ("UI", [key.series]),
        "00200032": ("DS", [0, 0, 0]),
        "00200037": ("DS", [1, 0, 0, 0, 1, 0]),
        "00200052": ("UI", ["2.25.4"]),
        "00280010": ("US", [1]),
        "00280011": ("US", [1]),
        "00280030": ("DS", [1, 1]),
    }
    header = json.dumps({tag: {"vr": vr, "Value": value} for tag, (vr, value) in values.items()})
    images = source_images([header.encode()])
    result_objects(analysis, images, ResultContext("2.25.5", datetime.now(UTC)))
