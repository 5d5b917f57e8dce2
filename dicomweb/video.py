"""Video that is stored as a stream (PS3.5 8.2.5 and later): given as it is, in ranges too."""

from collections.abc import Iterator
from dataclasses import dataclass

from storage.archive import Archive
from storage.instances import StoredInstance
from storage.transfer_syntax import transfer_syntax

_TRANSPORT_SYNC, _PACKET = 0x47, 188
_HEVC = ("1.2.840.10008.1.2.4.107", "1.2.840.10008.1.2.4.108")
_MPEG2 = ("1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.101")


@dataclass(frozen=True, slots=True)
class Video:
    """The stream of one instance."""

    archive: Archive
    instance: StoredInstance
    media: str
    """By what the stream is packed in: MP4, an MPEG-2 transport stream, or nothing (PS3.5 8.2.7)."""
    pieces: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(length for _, length in self.pieces)

    def read(self, offset: int, length: int) -> Iterator[bytes]:
        """`length` bytes from `offset`, in chunks."""
        for start, size in self.pieces:
            skipped = min(offset, size)
            wanted = min(size - skipped, length)
            if wanted:
                yield from self.archive.stream(self.instance, start + skipped, wanted)
            offset, length = offset - skipped, length - wanted


def video_of(archive: Archive, instance: StoredInstance) -> Video | None:
    """The video that an instance holds, None where it holds none."""
    if not (instance.number_of_frames and transfer_syntax(instance.transfer_syntax).video):
        return None
    pieces = tuple(archive.layout(instance).frame(1))
    start, length = pieces[0]
    head = archive.read_range(instance, start, min(length, _PACKET + 1))
    return Video(archive, instance, _media(head, instance.transfer_syntax), pieces)


def _media(head: bytes, syntax: str) -> str:
    if head[4:8] == b"ftyp":
        return "video/mp4"
    if head[:1] == head[_PACKET : _PACKET + 1] == bytes([_TRANSPORT_SYNC]):
        return "video/mp2t"
    if syntax.startswith(_MPEG2):
        return "video/mpeg"
    return "video/H265" if syntax.startswith(_HEVC) else "video/H264"
