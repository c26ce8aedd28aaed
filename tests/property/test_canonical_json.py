"""A value has one canonical JSON, and the text gives the value back."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detent import InvalidError
from detent.domain.digest import canonical_json, check_digest, digest_of

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner)),
    max_leaves=15,
)


def shuffled(value: Any, draw: Any) -> Any:
    """Return an equal value whose dicts were filled in another order."""
    if isinstance(value, dict):
        items = draw(st.permutations(list(value.items())))
        return {key: shuffled(item, draw) for key, item in items}
    if isinstance(value, list):
        return [shuffled(item, draw) for item in value]
    return value


def same(a: Any, b: Any) -> bool:
    """Say whether two values are the same with their types: 1, 1.0 and True are not."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b and (a != 0 or str(a) == str(b))


class TestOneText:
    """Equal values give equal bytes, whatever the order of their keys."""

    @given(VALUES)
    def test_the_text_gives_the_value_back(self, value: Any) -> None:
        assert same(json.loads(canonical_json(value)), value)

    @given(VALUES)
    def test_the_text_is_its_own_canonical_form(self, value: Any) -> None:
        text = canonical_json(value)
        assert canonical_json(json.loads(text)) == text

    @given(VALUES, st.data())
    def test_the_order_of_keys_does_not_count(self, value: Any, data: st.DataObject) -> None:
        assert canonical_json(shuffled(value, data.draw)) == canonical_json(value)

    @given(VALUES, VALUES)
    def test_different_values_have_different_texts(self, a: Any, b: Any) -> None:
        assert (canonical_json(a) == canonical_json(b)) == same(a, b)

    @given(VALUES)
    def test_the_text_is_one_line_of_utf8(self, value: Any) -> None:
        text = canonical_json(value).decode()
        assert not any(ord(c) < 32 for c in text)

    def test_nothing_is_added(self) -> None:
        value = {"é": [1.5, None, True], "a": {"c": "\n", "b": 10**20}}
        assert canonical_json(value).decode() == (
            '{"a":{"b":100000000000000000000,"c":"\\n"},"é":[1.5,null,true]}'
        )


class TestNoText:
    """What has no one text is refused: NaN, keys that are not text, types that JSON lacks."""

    @pytest.mark.parametrize(
        "value",
        [math.nan, math.inf, -math.inf, {1: 2}, {None: 1}, {True: 1}, {"a", "b"}, b"x", object()],
        ids=repr,
    )
    def test_values_without_json_are_refused(self, value: Any) -> None:
        for wrapped in (value, [value], {"a": {"b": [value]}}):
            with pytest.raises(InvalidError, match="no canonical JSON"):
                canonical_json(wrapped)

    def test_lone_surrogates_are_refused(self) -> None:
        for value in ("\ud800", {"\udfff": 1}):
            with pytest.raises(InvalidError, match="no canonical JSON"):
                canonical_json(value)

    def test_what_holds_itself_is_refused(self) -> None:
        value: list[Any] = []
        value.append(value)
        with pytest.raises(InvalidError, match="no canonical JSON"):
            canonical_json(value)


class TestDigests:
    """A digest is `sha256:` and 64 lower-case hexadecimal digits."""

    @given(st.binary())
    def test_a_digest_is_well_formed(self, data: bytes) -> None:
        assert check_digest(digest_of(data)) == digest_of(memoryview(data))

    @given(st.text(max_size=80))
    def test_another_text_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidError):
            check_digest(text)
