from storage.private import stored_tags

CREATORS = {
    "00290010": {"vr": "LO", "Value": ["OTHER"]},
    "00290011": {"vr": "LO", "Value": ["ACME 1 "]},
    "002900FF": {"vr": "LO"},
}
ATTRIBUTES = CREATORS | {
    "00291008": {"vr": "LO", "Value": ["not this"]},
    "00291108": {"vr": "LO", "Value": ["this"]},
}


def test_an_attribute_stands_in_the_block_of_its_creator():
    assert stored_tags(ATTRIBUTES, {"00291008": "ACME 1"}) == {"00290011", "00291108"}


def test_there_is_none_of_a_creator_that_has_no_block_or_not_this_element():
    assert stored_tags(ATTRIBUTES, {"00291008": "NOBODY"}) == set()
    assert stored_tags(ATTRIBUTES, {"00291009": "ACME 1"}) == {"00290011"}
