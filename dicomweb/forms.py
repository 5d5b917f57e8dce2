"""In which forms stored objects and frames can be given, by transfer syntax (PS3.18 8.7.3)."""

from functools import lru_cache

from dicomweb.media_types import DICOM, OCTETS, Offer, standard_name
from storage.pixels.codecs import DECODERS, NATIVE
from storage.pixels.encode import ENCODERS, LOSSY
from storage.transcode import EXPLICIT_VR_LITTLE_ENDIAN
from storage.transfer_syntax import transfer_syntax

_JPEG = "image/jpeg"
# PS3.18 tables 8.7.3-5 and -6
_FRAME_TYPES = {
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.92": "image/jpx",
    "1.2.840.10008.1.2.4.93": "image/jpx",
    "1.2.840.10008.1.2.4.110": "image/jxl",
    "1.2.840.10008.1.2.4.111": "image/jxl",
    "1.2.840.10008.1.2.4.112": "image/jxl",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
}
_JPEG_PROCESSES = {f"1.2.840.10008.1.2.4.{number}" for number in range(50, 71)}
_MPEG2 = ("1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.101")


def web_syntax(stored: str) -> str:
    """The transfer syntax in which an object leaves when the client takes any.

    That is the one it is stored in, but for Implicit VR and Big Endian, which PS3.18 8.7.3 keeps out.
    """
    syntax = transfer_syntax(stored)
    return EXPLICIT_VR_LITTLE_ENDIAN if syntax.implicit or syntax.big_endian else stored


def _encodings(stored: str) -> tuple[str, ...]:
    """The transfer syntaxes that stored frames can be brought into, the usual one of a media type first."""
    if stored not in NATIVE and stored not in DECODERS:
        return ()
    return tuple(uid for uid in ENCODERS if uid != stored)


@lru_cache(maxsize=256)
def object_offers(stored: str, *, image: bool) -> tuple[Offer, ...]:
    """The forms of one object, best first; an Accept that names no transfer syntax takes the first.

    Args:
        stored: transfer syntax of the object.
        image: it has frames.
    """
    syntaxes = [web_syntax(stored)]
    if stored in DECODERS or transfer_syntax(stored).deflated:
        syntaxes.append(EXPLICIT_VR_LITTLE_ENDIAN)
    if image and not transfer_syntax(stored).deflated:
        # What is compressed with loss is another instance, with a UID of its own (PS3.3 C.7.6.1.1.5).
        syntaxes += [uid for uid in _encodings(stored) if uid not in LOSSY]
    return tuple(Offer(DICOM, syntax, multipart) for syntax in syntaxes for multipart in (True, False))


def frame_type(stored: str) -> str:
    """The media type of encapsulated frames in a transfer syntax."""
    syntax = transfer_syntax(stored)
    if syntax.video:
        return "video/mpeg2" if stored.startswith(_MPEG2) else "video/mp4"
    return _JPEG if stored in _JPEG_PROCESSES else _FRAME_TYPES.get(stored, OCTETS)


# What an Accept without a transfer syntax means (PS3.18 table 8.7.3-5); the others of a media type are given
# all the same when they are what is stored.
DEFAULT_SYNTAXES = {OCTETS: EXPLICIT_VR_LITTLE_ENDIAN}
_DEFAULTS = {
    _JPEG: "1.2.840.10008.1.2.4.70",
    "image/dicom-rle": "1.2.840.10008.1.2.5",
    "image/jls": "1.2.840.10008.1.2.4.80",
    "image/jp2": "1.2.840.10008.1.2.4.90",
    "image/jpx": "1.2.840.10008.1.2.4.92",
    "image/jphc": "1.2.840.10008.1.2.4.201",
    "image/jxl": "1.2.840.10008.1.2.4.110",
    "video/mpeg2": "1.2.840.10008.1.2.4.100",
    "video/mp4": "1.2.840.10008.1.2.4.102",
}


def default_syntax(media: str) -> str:
    """The transfer syntax of bulk data of a media type that names none (PS3.18 table 8.7.3-5)."""
    return _DEFAULTS.get(standard_name(media), EXPLICIT_VR_LITTLE_ENDIAN)


@lru_cache(maxsize=256)
def frame_offers(stored: str, *, several: bool) -> tuple[Offer, ...]:
    """The forms of frames, best first: as stored, the same named octets, decoded, and encoded anew.

    Args:
        stored: transfer syntax of the object.
        several: more than one frame is asked for, which only a multipart body can hold.
    """
    syntax = transfer_syntax(stored)
    pairs = [(OCTETS, EXPLICIT_VR_LITTLE_ENDIAN)]
    if syntax.encapsulated:
        pairs = [(frame_type(stored), stored), (OCTETS, stored), *(pairs if stored in DECODERS else [])]
    pairs += [(media, uid) for uid in _encodings(stored) for media in (frame_type(uid), OCTETS)]
    shapes = [True] if several else [False, True]
    offers = [Offer(media, uid, multipart) for media, uid in pairs for multipart in shapes]
    return tuple(dict.fromkeys(offers))
