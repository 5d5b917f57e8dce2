"""The conformance statement says what the node offers."""

import re
from pathlib import Path

import pytest
from pydicom.uid import UID

from dicom_node.availability import AvailabilityNotices
from dicom_node.commitment import StorageCommitment
from dicom_node.contexts import (
    NON_PATIENT_SOP_CLASSES,
    QUERY_CLASSES,
    STORAGE_SOP_CLASSES,
    STORAGE_TRANSFER_SYNTAXES,
)
from dicom_node.non_patient import NON_PATIENT_FIND
from dicom_node.performed_steps import PerformedSteps
from dicom_node.ups import OTHER_SOP_CLASSES, UpsService
from dicom_node.worklist import MODALITY_WORKLIST
from inference.ups import replies
from storage.transfer_syntax import TRANSFER_SYNTAXES

TEXT = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")


def rows(title):
    section = TEXT.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([0-9.]+)` \| (.+) \|$", section, re.MULTILINE)


def test_sop_classes_of_query_and_retrieval():
    expected = [(uid, each.name + " (retired)" * each.retired) for uid, each in QUERY_CLASSES.items()]
    assert rows("SOP classes of query and retrieval") == expected


def test_sop_classes_of_workflow():
    assert rows("SOP classes of workflow") == [
        *StorageCommitment.sop_classes.items(),
        *PerformedSteps.sop_classes.items(),
        (MODALITY_WORKLIST, UID(MODALITY_WORKLIST).name),
        *AvailabilityNotices.sop_classes.items(),
        *sorted((UpsService.sop_classes | OTHER_SOP_CLASSES).items()),
    ]


def test_storage_sop_classes():
    assert [uid for uid, _ in rows("Storage SOP classes")] == list(STORAGE_SOP_CLASSES)


def test_sop_classes_without_a_patient():
    expected = (*NON_PATIENT_SOP_CLASSES, *NON_PATIENT_FIND)
    assert rows("SOP classes of objects that belong to no patient") == [
        (uid, UID(uid).name) for uid in sorted(expected)
    ]


def test_transfer_syntaxes():
    expected = [(uid, TRANSFER_SYNTAXES[uid].name) for uid in STORAGE_TRANSFER_SYNTAXES]
    assert rows("Transfer syntaxes of stored objects") == expected


@pytest.mark.parametrize("service", ["find", "get", "move"])
def test_services_of_the_query_classes(service):
    assert any(each.service == service for each in QUERY_CLASSES.values())
    assert f"(C-{service.upper()})" in TEXT


def test_statuses_of_unified_procedure_steps():
    section = TEXT.partition("## Unified Procedure Steps\n")[2].partition("\n## ")[0]
    listed = {int(code, 16) for code in re.findall(r"^\| ([0-9A-F]{4}) \|", section, re.MULTILINE)}
    codes = {code for name, code in vars(replies).items() if name.isupper() and isinstance(code, int)}
    assert listed >= codes
