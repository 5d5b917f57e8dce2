"""Explicit VR Little Endian, the syntax of web services (PS3.18 8.7.3.4)."""

from storage.transcode import EXPLICIT_VR_LITTLE_ENDIAN, element_header

__all__ = ["EXPLICIT_VR_LITTLE_ENDIAN", "element_header"]
