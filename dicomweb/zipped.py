"""A ZIP file written while it is sent; nothing of it is held but what the last write left."""

import zipfile
from collections.abc import Iterable, Iterator


class _Sink:
    """The write end of a pipe without a size: `ZipFile` asks for no more."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is buffered."""

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def write_zip(files: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[bytes]:
    """A ZIP file of `files`, each a name and its content in chunks; stored, since images compress badly."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload] # no seek, no tell
        for name, chunks in files:
            # The date is that of the format's beginning: the same files make the same bytes.
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
                for chunk in chunks:
                    member.write(chunk)
                    yield sink.taken()
            yield sink.taken()
    yield sink.taken()
