"""Names of blobs: none can leave the root, and every one works in every store."""

import re

# A part starts with neither a dot (`..`, hidden files) nor a blank; 255 bytes is what file systems take.
_PART = re.compile(r"[!-\-0-\[\]-~][ -.0-\[\]-~]{0,254}")
_MAX_NAME = 1024


def is_name(name: str) -> bool:
    """`name` is `/`-separated printable ASCII without backslash; S3 takes at most 1024 characters."""
    return len(name) <= _MAX_NAME and all(map(_PART.fullmatch, name.split("/")))


def checked_name(name: str) -> str:
    """`name` itself.

    Raises:
        ValueError: it is not the name of a blob.
    """
    if not is_name(name):
        raise ValueError(f"not the name of a blob: {name[:_MAX_NAME]!r}")
    return name
