import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_node.peek import HEAD, sop_uids
from storage.errors import InvalidInstance
from storage.header import read_header
from storage.part10 import read_meta
from tests.dicom_node.builders import ct, saved

SYNTAXES = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]


def head_of(path):
    data = path.read_bytes()
    offset = read_meta(data).dataset_offset
    return data[offset : offset + HEAD]


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("undefined", [True, False])
def test_uids_are_found_in_any_encoding_and_behind_a_sequence(tmp_path, syntax, undefined):
    ds = ct(syntax)
    language = Dataset()
    language.CodeValue = "en"
    ds.LanguageCodeSequence = [language]
    ds["LanguageCodeSequence"].is_undefined_length = undefined
    ds.SpecificCharacterSet = "ISO_IR 100"
    assert sop_uids(head_of(saved(ds, tmp_path)), syntax) == (ds.SOPClassUID, ds.SOPInstanceUID)


def test_all_real_files_are_told_as_the_header_tells_them(test_data):
    seen = 0
    for path in sorted((test_data / "dicom").rglob("*")):
        try:
            header = path.is_file() and read_header(path)
        except InvalidInstance:
            continue
        if header:
            assert sop_uids(head_of(path), header.transfer_syntax) == (header.sop_class, header.key.sop)
            seen += 1
    assert seen > 200


@given(st.binary(max_size=200), st.sampled_from(SYNTAXES))
def test_garbage_tells_nothing_and_harms_nothing(data, syntax):
    found = sop_uids(data, syntax)
    assert all(isinstance(each, str) for each in found)


def test_bomb_is_inflated_no_further_than_needed():
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = squeezer.compress(bytes(1 << 26)) + squeezer.flush()
    assert sop_uids(bomb, DeflatedExplicitVRLittleEndian) == ("", "")
