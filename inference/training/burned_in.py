"""Pictures in which writing may name the patient: headers cannot be cleaned of it."""

from pydicom import Dataset

_OFTEN = frozenset({"US", "ES", "XC", "GM", "SM", "OT", "SC", "IVUS", "OP"})
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_HEAD = ("HEAD", "BRAIN", "SKULL", "FACE")


def burned_in(ds: Dataset) -> str:
    """Why the pixels may show who it is; empty when there is no sign of it.

    By Burned In Annotation (PS3.3 C.7.6.1.1.4), where it is stated; otherwise pictures are doubtful whose
    kind often has writing in it.
    """
    stated = str(ds.get("BurnedInAnnotation") or "")
    if stated == "YES":
        return "Burned In Annotation is YES"
    if stated == "NO":
        return ""
    if str(ds.get("SOPClassUID", "")).startswith(_SECONDARY_CAPTURE) or ds.get("ConversionType"):
        return "a secondary capture that does not say whether there is writing in it"
    if ds.get("Modality") in _OFTEN:
        return f"modality {ds.Modality}, and it does not say whether there is writing in the picture"
    return ""


def shows_a_face(ds: Dataset) -> bool:
    """Whether a face could be made from the volume."""
    part = str(ds.get("BodyPartExamined") or "").upper()
    return ds.get("Modality") in {"CT", "MR", "PT"} and (not part or part.startswith(_HEAD))
