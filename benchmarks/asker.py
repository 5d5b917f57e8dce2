"""A C-FIND client that costs next to nothing, so that what is measured is the server."""

import struct
from collections.abc import Iterator

from dicom_node import command
from dicom_node.identifier import Attributes, write_identifier
from dicom_node.requestor import Requestor

_PROPOSAL = ("1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.1.2.1")
"""Study Root FIND, Explicit VR Little Endian."""
_C_FIND_RQ = 0x0020
_COMMAND = 1


class Asker(Requestor):
    """Asks one question again and again in one association, and counts answers without reading them."""

    def __init__(self, aet: str, port: int, question: Attributes) -> None:
        super().__init__(("127.0.0.1", port), aet, "BENCH", [_PROPOSAL])
        self._question = write_identifier(question, _PROPOSAL[1])

    def ask(self) -> int:
        """Ask once; how many answers came."""
        self._send_message(self._accepted[_PROPOSAL], self._request(), [self._question])
        answers = 0
        for response in self._responses():
            if command.number(response, command.COMMAND_DATA_SET_TYPE) == command.NO_DATA_SET:
                break
            answers += 1
        return answers

    def _request(self) -> bytes:
        """PS3.7 Table 9.3-3."""
        values = {
            command.AFFECTED_SOP_CLASS_UID: _PROPOSAL[0].encode() + b"\0",
            command.COMMAND_FIELD: struct.pack("<H", _C_FIND_RQ),
            command.MESSAGE_ID: struct.pack("<H", self._next_id()),
            command.PRIORITY: struct.pack("<H", command.MEDIUM),
            command.COMMAND_DATA_SET_TYPE: struct.pack("<H", 1),
        }
        encoded = b"".join(struct.pack("<HHI", 0, each, len(value)) + value for each, value in values.items())
        return struct.pack("<HHII", 0, 0, 4, len(encoded)) + encoded

    def _responses(self) -> Iterator[command.Command]:
        while True:
            _, body = self._read_pdu()
            at = 0
            while at < len(body):
                (length,) = struct.unpack_from(">I", body, at)
                end = at + 4 + length
                if body[at + 5] & _COMMAND:
                    yield command.decode(body[at + 6 : end])
                at = end
