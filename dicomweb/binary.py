"""Binary values, whether they are in the header or beside it."""

import base64
import binascii

from storage.instances import StoredInstance
from storage.pixels.attributes import Attributes
from storage.pixels.decode import FrameSource

_BULK = "bulkdata:"


def binary(
    archive: FrameSource, instance: StoredInstance, attributes: Attributes, tag: str, limit: int | None = None
) -> bytes:
    """The stored bytes of a binary value, up to `limit` of them; none where there is no such value.

    Args:
        archive: where the instance is stored.
        instance: whose header it is.
        attributes: the header, or a sequence item in it, by `read_attributes`.
        tag: of the element in `attributes`.
        limit: the most bytes that are read.
    """
    element = attributes.get(tag, {})
    reference = str(element.get("BulkDataURI", ""))
    if reference.startswith(_BULK):
        offset, length = archive.layout(instance).bulk[reference.removeprefix(_BULK)]
        return archive.read_value(instance, offset, length if limit is None else min(length, limit))
    try:
        return base64.b64decode(element.get("InlineBinary", ""))[:limit]
    except (binascii.Error, TypeError, ValueError):
        return b""
