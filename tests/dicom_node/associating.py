"""Associations as tests open them, and what they leave."""

import io
import time

from pydicom.uid import ExplicitVRLittleEndian

from dicom_node import command
from dicom_node.requestor import Requestor
from tests.dicom_node.builders import encoded

CT = "1.2.840.10008.5.1.4.1.1.2"
PROPOSAL = (CT, ExplicitVRLittleEndian)
SECONDS = 20


def eventually(check):
    """Wait for what happens in another thread; a test that waits in vain fails."""
    deadline = time.monotonic() + SECONDS
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def associate(port, called="ISOCENTER", calling="TEST", proposals=(PROPOSAL,), **options):
    return Requestor(("127.0.0.1", port), called, calling, proposals, timeout=SECONDS, **options)


def spooled(spool):
    """What is being received; empty files wait for what comes next."""
    return [path for path in spool.folder.iterdir() if path not in spool.kept and size(path)]


def size(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:  # gone since it was listed
        return 0


def ended(archive):
    return [event for event in archive.events() if event.kind == "delivery.ended"]


# Who may associate


def open_file(data):
    return io.BytesIO(data)


def begin_instance(association, ds):
    """Send a request and the first half of its data set."""
    context = association._accepted[PROPOSAL]
    association._send([[command.p_data_tf(context, 3, command.c_store_rq(1, CT, ds.SOPInstanceUID))]])
    data = encoded(ds)
    association._send([[command.p_data_tf(context, 0, data[: len(data) // 2])]])
