"""Procedure steps as their creators and performers send them."""

STEP = {
    "00741000": {"vr": "CS", "Value": ["SCHEDULED"]},
    "00741200": {"vr": "CS", "Value": ["MEDIUM"]},
    "00741202": {"vr": "LO", "Value": ["Reading"]},
    "00741204": {"vr": "LO", "Value": ["Read the chest"]},
    "00404005": {"vr": "DT", "Value": ["20260102030405"]},
    "00404041": {"vr": "CS", "Value": ["READY"]},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]},
    "00100020": {"vr": "LO", "Value": ["P1"]},
    "0020000D": {"vr": "UI", "Value": ["1.2"]},
}
CODE = {
    "00080100": {"vr": "SH", "Value": ["110001"]},
    "00080102": {"vr": "SH", "Value": ["DCM"]},
    "00080104": {"vr": "LO", "Value": ["Image Processing"]},
}
PERFORMED = {
    "00741216": {
        "vr": "SQ",
        "Value": [
            {
                "00404019": {"vr": "SQ", "Value": [CODE]},
                "00404028": {"vr": "SQ", "Value": [CODE]},
                "00404033": {
                    "vr": "SQ",
                    "Value": [
                        {
                            "0020000D": {"vr": "UI", "Value": ["1.2"]},
                            "0020000E": {"vr": "UI", "Value": ["1.2.7"]},
                            "00081199": {
                                "vr": "SQ",
                                "Value": [
                                    {
                                        "00081150": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.88.34"]},
                                        "00081155": {"vr": "UI", "Value": ["1.2.7.1"]},
                                    }
                                ],
                            },
                        }
                    ],
                },
                "00404050": {"vr": "DT", "Value": ["20260102030405"]},
                "00404051": {"vr": "DT", "Value": ["20260102030505"]},
            }
        ],
    }
}


def state(wanted: str, transaction: str = "2.25.77") -> dict:
    """The body of a change of state."""
    named = {"00081195": {"vr": "UI", "Value": [transaction]}} if transaction else {}
    return {"00741000": {"vr": "CS", "Value": [wanted]}, **named}


def progress(percent: int) -> dict:
    """The body of an update that tells how far the performer is."""
    item = {"00741004": {"vr": "DS", "Value": [percent]}}
    return {"00741002": {"vr": "SQ", "Value": [item]}}
