"""StorageError
├── InvalidInstance    the bytes are not an instance we can index
├── UnknownInstance    nothing is stored under this key
├── DuplicateInstance  this SOP Instance UID is already stored with other bytes, or in another study or series
├── InvalidQuery       the search asks for something that does not exist or is malformed
├── QueryTooBroad      the search took the database too long
├── StorageFull        the disk, bucket or database has no room left
└── StorageDown        disk, bucket or database did not answer
"""  # noqa: D205, D415 - the tree is the documentation


class StorageError(Exception):
    """The base of what `storage` raises; `str(error)` names what is wrong and is safe to show to a peer."""


class InvalidInstance(StorageError):
    """The bytes are not an instance we can index."""


class UnknownInstance(StorageError):
    """Nothing is stored under this key."""


class DuplicateInstance(StorageError):
    """This SOP Instance UID is already stored with other bytes, or in another study or series."""


class InvalidQuery(StorageError):
    """The search asks for something that does not exist or is malformed."""


class QueryTooBroad(StorageError):
    """The search took the database too long; a narrower one may not."""


class StorageFull(StorageError):
    """The disk, bucket or database has no room left."""


class StorageDown(StorageError):
    """Disk, bucket or database did not answer."""
