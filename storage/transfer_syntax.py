"""The transfer syntaxes of PS3.6 Table A-1, and how each encodes a data set (PS3.5 10, Annex A).

A table of our own, because pydicom 3.0 knows neither JPEG XL nor Deflated Image Frame Compression.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """How a data set is written.

    Explicit VR, little endian, native pixel data unless stated.
    """

    uid: str
    name: str
    implicit: bool = False
    """The VR is not written (PS3.5 A.1)."""
    big_endian: bool = False
    """PS3.5 A.3, retired."""
    deflated: bool = False
    """The whole data set is one raw deflate stream (PS3.5 A.5)."""
    encapsulated: bool = False
    """Pixel data is a sequence of fragments (PS3.5 A.4)."""
    lossy: bool = False
    """The encoding may lose information; of those that may or may not, True."""
    video: bool = False
    """The fragments make one stream that holds all frames (PS3.5 8.2.5 to 8.2.9)."""


# Encapsulated ones, by what follows 1.2.840.10008.1.2 in their UID.
_LOSSLESS = (
    (".1.98", "Encapsulated Uncompressed Explicit VR Little Endian"),
    (".4.57", "JPEG Lossless, Non-Hierarchical (Process 14)"),
    (".4.58", "JPEG Lossless, Non-Hierarchical (Process 15)"),
    (".4.65", "JPEG Lossless, Hierarchical (Process 28)"),
    (".4.66", "JPEG Lossless, Hierarchical (Process 29)"),
    (".4.70", "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])"),
    (".4.80", "JPEG-LS Lossless Image Compression"),
    (".4.90", "JPEG 2000 Image Compression (Lossless Only)"),
    (".4.92", "JPEG 2000 Part 2 Multi-component Image Compression (Lossless Only)"),
    (".4.110", "JPEG XL Lossless"),
    (".4.111", "JPEG XL JPEG Recompression"),
    (".4.201", "High-Throughput JPEG 2000 Image Compression (Lossless Only)"),
    (".4.202", "High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)"),
    (".5", "RLE Lossless"),
    (".8.1", "Deflated Image Frame Compression"),
)
_LOSSY = (  # or may be
    (".4.50", "JPEG Baseline (Process 1)"),
    (".4.51", "JPEG Extended (Process 2 and 4)"),
    (".4.52", "JPEG Extended (Process 3 and 5)"),
    (".4.53", "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)"),
    (".4.54", "JPEG Spectral Selection, Non-Hierarchical (Process 7 and 9)"),
    (".4.55", "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)"),
    (".4.56", "JPEG Full Progression, Non-Hierarchical (Process 11 and 13)"),
    (".4.59", "JPEG Extended, Hierarchical (Process 16 and 18)"),
    (".4.60", "JPEG Extended, Hierarchical (Process 17 and 19)"),
    (".4.61", "JPEG Spectral Selection, Hierarchical (Process 20 and 22)"),
    (".4.62", "JPEG Spectral Selection, Hierarchical (Process 21 and 23)"),
    (".4.63", "JPEG Full Progression, Hierarchical (Process 24 and 26)"),
    (".4.64", "JPEG Full Progression, Hierarchical (Process 25 and 27)"),
    (".4.81", "JPEG-LS Lossy (Near-Lossless) Image Compression"),
    (".4.91", "JPEG 2000 Image Compression"),
    (".4.93", "JPEG 2000 Part 2 Multi-component Image Compression"),
    (".4.112", "JPEG XL"),
    (".4.203", "High-Throughput JPEG 2000 Image Compression"),
)
_VIDEO = (
    (".4.100", "MPEG2 Main Profile / Main Level"),
    (".4.100.1", "Fragmentable MPEG2 Main Profile / Main Level"),
    (".4.101", "MPEG2 Main Profile / High Level"),
    (".4.101.1", "Fragmentable MPEG2 Main Profile / High Level"),
    (".4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1"),
    (".4.102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1"),
    (".4.103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1"),
    (".4.103.1", "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1"),
    (".4.104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video"),
    (".4.104.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video"),
    (".4.105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video"),
    (".4.105.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video"),
    (".4.106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2"),
    (".4.106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2"),
    (".4.107", "HEVC/H.265 Main Profile / Level 5.1"),
    (".4.108", "HEVC/H.265 Main 10 Profile / Level 5.1"),
)
_OTHERS = (
    TransferSyntax("1.2.840.10008.1.2", "Implicit VR Little Endian", implicit=True),
    TransferSyntax("1.2.840.10008.1.2.1", "Explicit VR Little Endian"),
    TransferSyntax("1.2.840.10008.1.2.1.99", "Deflated Explicit VR Little Endian", deflated=True),
    TransferSyntax("1.2.840.10008.1.2.2", "Explicit VR Big Endian", big_endian=True),
    TransferSyntax("1.2.840.10008.1.2.4.94", "JPIP Referenced"),
    TransferSyntax("1.2.840.10008.1.2.4.95", "JPIP Referenced Deflate", deflated=True),
    TransferSyntax("1.2.840.10008.1.2.4.204", "JPIP HTJ2K Referenced"),
    TransferSyntax("1.2.840.10008.1.2.4.205", "JPIP HTJ2K Referenced Deflate", deflated=True),
)


def _table() -> dict[str, TransferSyntax]:
    rows = list(_OTHERS)
    for group, lossy, video in ((_LOSSLESS, False, False), (_LOSSY, True, False), (_VIDEO, True, True)):
        rows += [
            TransferSyntax(f"1.2.840.10008.1.2{end}", name, encapsulated=True, lossy=lossy, video=video)
            for end, name in group
        ]
    return {row.uid: row for row in rows}


TRANSFER_SYNTAXES: Mapping[str, TransferSyntax] = MappingProxyType(_table())


def known(uid: str) -> bool:
    """The standard names this transfer syntax for stored objects."""
    return uid in TRANSFER_SYNTAXES


def transfer_syntax(uid: str) -> TransferSyntax:
    """The entry of the table; an unknown UID is taken as encapsulated explicit VR little endian.

    Every syntax added to the standard since 1993 is of that form, and PS3.5 A.4 foresees no other.
    """
    return TRANSFER_SYNTAXES.get(uid) or TransferSyntax(
        uid, f"unknown ({uid})", encapsulated=True, lossy=True
    )
