"""Our table of transfer syntaxes against pydicom's dictionary, where that knows them."""

import warnings

import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID

from storage.transfer_syntax import TRANSFER_SYNTAXES, known, transfer_syntax

# Named as transfer syntaxes by PS3.6, but no stored data set is encoded in them.
NOT_FOR_STORAGE = ("1.2.840.10008.1.2.6.", "1.2.840.10008.1.2.7.", "1.2.840.10008.1.20")
# Not in pydicom 3.0.2; some libraries add them to its dictionary.
NEW = {
    "1.2.840.10008.1.2.4.110",
    "1.2.840.10008.1.2.4.111",
    "1.2.840.10008.1.2.4.112",
    "1.2.840.10008.1.2.8.1",
}


def test_table_is_that_of_the_standard():
    standard = {
        uid: name
        for uid, (name, kind, *_) in UID_dictionary.items()
        if kind == "Transfer Syntax" and not uid.startswith(NOT_FOR_STORAGE) and uid not in NEW
    }

    ours = {uid: syntax.name for uid, syntax in TRANSFER_SYNTAXES.items()}

    assert {uid: name for uid, name in ours.items() if uid not in NEW} == standard
    assert set(ours) >= NEW


@pytest.mark.parametrize("uid", sorted(set(TRANSFER_SYNTAXES) - NEW))
def test_encoding_is_what_pydicom_says(uid):
    ours, theirs = transfer_syntax(uid), UID(uid)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # JPIP data sets hold a URL in place of pixel data (PS3.5 A.6), which pydicom counts as encapsulated.
        if "JPIP" not in ours.name:
            assert ours.encapsulated == theirs.is_encapsulated
        assert (ours.implicit, ours.big_endian) == (theirs.is_implicit_VR, not theirs.is_little_endian)
        assert ours.deflated == (theirs.is_deflated or "Deflate" in ours.name)


def test_lossless_ones_are_named_so():
    lossless = {uid for uid, syntax in TRANSFER_SYNTAXES.items() if syntax.encapsulated and not syntax.lossy}
    named = {uid for uid, syntax in TRANSFER_SYNTAXES.items() if "Lossless" in syntax.name}

    assert named - lossless == {"1.2.840.10008.1.2.4.81"}  # JPEG-LS Lossy (Near-Lossless)
    assert lossless - named == {
        "1.2.840.10008.1.2.1.98",  # uncompressed
        "1.2.840.10008.1.2.4.111",  # a JPEG stream, restored bit by bit
        "1.2.840.10008.1.2.8.1",  # deflated
    }


def test_unknown_one_is_taken_as_every_new_one_has_been():
    syntax = transfer_syntax("1.2.3")

    assert not known("1.2.3")
    assert syntax.encapsulated
    assert (syntax.implicit, syntax.big_endian, syntax.deflated) == (False, False, False)
