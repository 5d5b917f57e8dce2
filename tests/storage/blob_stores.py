"""What tests of blob stores share."""

from storage.blobs.s3 import s3_client

MB = 1 << 20
NAME = "studies/1.2/1.2.3/1.2.3.4.dcm"


def client_of(s3, **options):
    return s3_client(s3["endpoint"], s3["access_key"], s3["secret_key"], tls=False, **options)


def read(blobs, name):
    return b"".join(blobs.stream(name))
