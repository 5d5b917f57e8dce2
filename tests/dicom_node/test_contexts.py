import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID

from dicom_node.contexts import (
    NON_PATIENT_SOP_CLASSES,
    QUERY_CLASSES,
    STORAGE_SOP_CLASSES,
    STORAGE_TRANSFER_SYNTAXES,
    supported_contexts,
)

# Media directories, storage commitment and protocol approvals.
NOT_STORED = {
    "1.2.840.10008.1.3.10",
    "1.2.840.10008.1.20.1",
    "1.2.840.10008.1.20.2",
    "1.2.840.10008.5.1.4.1.1.200.3",
}


def test_every_storage_class_pydicom_knows_is_accepted_or_named_here():
    storage = {
        uid for uid, entry in UID_dictionary.items() if entry[1] == "SOP Class" and "Storage" in entry[0]
    }
    assert storage - {*STORAGE_SOP_CLASSES, *NON_PATIENT_SOP_CLASSES} == NOT_STORED


def test_every_transfer_syntax_for_stored_objects_is_accepted():
    known = {uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"}
    # Not for stored objects: MIME, XML and Papyrus are retired, 1.2.840.10008.1.2.7 is for live streams.
    others = {uid for uid in known if ".1.2.6." in uid or ".1.2.7." in uid or uid == "1.2.840.10008.1.20"}
    assert known - others <= set(STORAGE_TRANSFER_SYNTAXES)


@pytest.mark.parametrize(
    "end", ["4.110", "4.111", "4.112", "4.201", "4.202", "4.203", "1.99", "2", "8.1", "4.107"]
)
def test_transfer_syntax_is_accepted(end):
    assert f"1.2.840.10008.1.2.{end}" in STORAGE_TRANSFER_SYNTAXES


def test_query_classes_are_named_as_in_the_standard():
    for uid, each in QUERY_CLASSES.items():
        name, service = each.name.split(" - ")
        named = UID_dictionary[uid][0].removesuffix(" (Retired)")
        assert named == f"{name} Information Model - {service}"
        assert bool(UID_dictionary[uid][3]) == each.retired


def test_contexts_are_distinct_and_valid():
    contexts = supported_contexts(["1.2.3.4", "1.2.3.4", STORAGE_SOP_CLASSES[0]])
    uids = [context.abstract_syntax for context in contexts]
    queries = [uid for uid, each in QUERY_CLASSES.items() if not each.retired]
    assert set(uids) == {
        *STORAGE_SOP_CLASSES,
        *NON_PATIENT_SOP_CLASSES,
        *queries,
        "1.2.3.4",
        "1.2.840.10008.1.1",
    }
    assert len(uids) == len(set(uids))
    assert all(UID(uid).is_valid for uid in uids)
