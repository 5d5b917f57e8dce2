"""Text in the character sets of PS3.3 C.12.1.1.2; the examples are those of PS3.5 Annexes H to K."""

import pytest

from storage.charset import charset


def decoded(raw: bytes, *terms: str, name: bool = True) -> tuple[str, list[str]]:
    warned: list[str] = []
    return charset(terms, warned.append).decode(raw, warned.append, name=name), warned


@pytest.mark.parametrize(
    ("terms", "raw", "text"),
    [
        ((), b"Doe^John", "Doe^John"),
        (("ISO_IR 100",), b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
        (("ISO_IR 144",), b"\xbb\xee\xda", "Люк"),
        (("ISO_IR 192",), "王^小東".encode(), "王^小東"),
        (("GB18030",), "王^小东".encode("gb18030"), "王^小东"),
        (("GB18030",), "誠".encode("gb18030"), "誠"),
        (("ISO_IR 13",), b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        (
            ("", "ISO 2022 IR 87"),
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        (
            ("ISO 2022 IR 13", "ISO 2022 IR 87"),
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
        ),
        (
            ("", "ISO 2022 IR 149"),
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
            "Hong^Gildong=洪^吉洞=홍^길동",
        ),
        (
            ("", "ISO 2022 IR 58"),
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
            "Zhang^XiaoDong=张^小东=",
        ),
        (("ISO 2022 IR 100", "ISO 2022 IR 144"), b"\xe9\x1b-L\xbb\xee\xda^\xe9", "éЛюк^é"),
        (("ISO-IR 100",), b"\xe9", "é"),
        (("iso_ir 192",), "é".encode(), "é"),
    ],
)
def test_text_is_read_in_its_character_set(terms, raw, text):
    assert decoded(raw, *terms) == (text, [])


def test_extension_ends_at_the_end_of_a_line():
    text, _ = decoded(b"\x1b-L\xbb\r\n\xe9", "ISO 2022 IR 100", "ISO 2022 IR 144", name=False)

    assert text == "Л\r\né"


def test_extension_ends_at_the_delimiters_of_names_only_in_names():
    raw = b"\x1b-L\xbb^\xee"

    assert decoded(raw, "ISO 2022 IR 100", "ISO 2022 IR 144")[0] == "Л^î"
    assert decoded(raw, "ISO 2022 IR 100", "ISO 2022 IR 144", name=False)[0] == "Л^ю"


@pytest.mark.parametrize(
    ("terms", "raw", "text", "warning"),
    [
        ((), b"\xe9", "é", "without a Specific Character Set"),
        (("ISO_IR 192",), b"a\xffb", "a\ufffdb", "not valid UTF8"),
        (("KLINGON",), b"\xe9", "é", "unknown Specific Character Set 'KLINGON'"),
        (("", "ISO 2022 IR 87"), b"\x1b$B;3\x7f\x7f\x1b(B", "山\ufffd", "not valid iso2022_jp"),
        (("", "ISO 2022 IR 87"), b"a\x1b%Gb", "ab", "unknown escape sequence"),
        (("", "ISO_IR 192"), b"ab", "ab", "stands alone"),
    ],
)
def test_text_that_cannot_be_read_is_kept_with_a_warning(terms, raw, text, warning):
    found, warned = decoded(raw, *terms)

    assert found == text
    assert warning in warned[0]


def test_multi_byte_characters_may_contain_a_backslash():
    raw = "淦\\b".encode("gb18030")  # the second byte of the first character may be 05/12

    assert decoded(raw, "GB18030")[0] == "淦\\b"
