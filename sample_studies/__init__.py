"""Synthetic studies with known truth, made on first use."""

from sample_studies.chest import ChestPhantom
from sample_studies.dicom import Patient, write_ct, write_dx
from sample_studies.nodules import Nodule
from sample_studies.samples import SAMPLES, ensure_sample, sample_truth

__all__ = [
    "SAMPLES",
    "ChestPhantom",
    "Nodule",
    "Patient",
    "ensure_sample",
    "sample_truth",
    "write_ct",
    "write_dx",
]
