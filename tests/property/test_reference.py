"""References parse and print back; what could be mistaken for something else is refused."""

import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from detent import InvalidError
from detent.domain.reference import (
    MAX_NAME_LENGTH,
    Reference,
    check_alias_name,
    check_model_name,
    parse_number,
    parse_reference,
)

ASCII = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
NAMES = st.from_regex(ASCII, fullmatch=True)
ALIASES = NAMES.filter(lambda name: not re.fullmatch(r"(?i)v?[0-9]+|sha256.*|latest", name))
NUMBERS = st.integers(1, 10**18 - 1)
DIGESTS = st.from_regex(r"sha256:[0-9a-f]{8,64}", fullmatch=True)
REFERENCES = st.one_of(
    st.builds(lambda model: Reference(model=model), NAMES),
    st.builds(lambda model, number: Reference(model=model, number=number), NAMES, NUMBERS),
    st.builds(lambda model, alias: Reference(model=model, alias=alias), NAMES, ALIASES),
    st.builds(lambda model, digest: Reference(model=model, digest=digest), NAMES, DIGESTS),
)

MALFORMED_NAMES = [
    "",
    " ",
    "../x",
    "a/b",
    "/etc/passwd",
    "a\\b",
    ".",
    "..",
    ".hidden",
    "-flag",
    "_x",
    "a b",
    "a\n",
    "a\0b",
    "\x1b[31mred",
    "a@b",
    "a:b",
    "a" * (MAX_NAME_LENGTH + 1),
    "x" * 300,
    "frаud",  # noqa: RUF001  Cyrillic
    "fraud\u200b",
    "ﬁle",
    "mod\u00e8le",
    "１",  # noqa: RUF001  full width
    "\ud800",
    "a;rm",
    "%2e%2e",
    "a*",
]
MALFORMED_ALIASES = ["latest", "Latest", "LATEST", "v7", "V7", "7", "007", "sha256", "sha256:ab"]


def parsed(text: str) -> Reference | InvalidError:
    try:
        return parse_reference(text)
    except InvalidError as error:
        return error


class TestPrinting:
    """A reference parses back to itself from the text that it prints."""

    @given(REFERENCES)
    def test_a_reference_parses_back(self, reference: Reference) -> None:
        assert parse_reference(str(reference)) == reference

    @given(NAMES, NUMBERS)
    def test_a_number_may_have_a_v(self, model: str, number: int) -> None:
        assert parse_reference(f"{model}/v{number}") == parse_reference(f"{model}/{number}")
        assert parse_number(f"v{number}") == number

    @given(st.text(max_size=120))
    def test_any_text_parses_back_or_is_refused(self, text: str) -> None:
        reference = parsed(text)
        if isinstance(reference, InvalidError):
            assert reference.message.isprintable()
        else:
            assert parse_reference(str(reference)) == reference
            assert str(reference).isascii()
            assert ASCII.fullmatch(reference.model)


class TestMalformed:
    """A name that could be a path, a command or another name's look-alike is refused."""

    @pytest.mark.parametrize("name", MALFORMED_NAMES, ids=ascii)
    def test_malformed_names_are_refused(self, name: str) -> None:
        for check in (check_model_name, check_alias_name):
            with pytest.raises(InvalidError) as caught:
                check(name)
            assert caught.value.message.isprintable()
            assert caught.value.message.isascii()
        for text in (name, f"{name}/1", f"{name}@production", f"fraud@{name}"):
            if text not in ("a/b", "a@b"):
                with pytest.raises(InvalidError):
                    parse_reference(text)

    @pytest.mark.parametrize("alias", MALFORMED_ALIASES)
    def test_what_reads_as_a_version_is_no_alias(self, alias: str) -> None:
        with pytest.raises(InvalidError):
            check_alias_name(alias)
        with pytest.raises(InvalidError):
            parse_reference(f"fraud@{alias}")

    @pytest.mark.parametrize(
        "number", ["0", "-1", "1.5", "", "v", "vv1", "1e3", "٣", "1" * 19, " 1", "1\n", "0x1", "01"]
    )
    def test_malformed_numbers_are_refused(self, number: str) -> None:
        with pytest.raises(InvalidError):
            parse_number(number)
        with pytest.raises(InvalidError):
            parse_reference(f"fraud/{number}")

    @pytest.mark.parametrize("text", ["fraud/1/2", "fraud@a@b", "fraud/1@a", "fraud@a/1"])
    def test_more_than_one_part_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidError):
            parse_reference(text)

    @given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=20))
    def test_a_name_is_ascii_or_refused(self, name: str) -> None:
        assume(not ASCII.fullmatch(name))
        with pytest.raises(InvalidError):
            check_model_name(name)

    @pytest.mark.parametrize("value", [None, 7, b"fraud", ["fraud"]])
    def test_what_is_no_text_is_refused(self, value: Any) -> None:
        with pytest.raises((InvalidError, TypeError)):
            parse_reference(value)
        with pytest.raises(InvalidError):
            check_model_name(value)
