"""Keys that are alike: found within the file and beside what is stored, and named with their rows."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from collect.checks import similar_keys
from collect.checks.similar_keys import Alike


def test_keys_that_differ_in_case_blanks_or_unicode_form_are_alike() -> None:
    pairs = [
        ("R-1", "r-1"), ("R 1", "R1"), (" a", "a"), ("a\u00a0b", "a b"), ("Caf\u00e9", "Cafe\u0301"), ("１２", "12"),
        ("ﬁ", "fi"), ("a\u200b", "a"), ("STRASSE", "straße"), ("ＡＢ１", "ab1"),
    ]  # fmt: skip
    for one, other in pairs:
        assert similar_keys.fold(one) == similar_keys.fold(other), (one, other)
    for one, other in [("a-1", "a1"), ("a", "á"), ("01", "1"), ("a.b", "a,b")]:
        assert similar_keys.fold(one) != similar_keys.fold(other), (one, other)


@given(st.text(max_size=8))
def test_a_fold_does_not_depend_on_the_form(key: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert similar_keys.fold(unicodedata.normalize(form, key)) == similar_keys.fold(key) or not key.isprintable()


def test_a_key_is_alike_to_an_earlier_row_or_to_a_stored_key_but_not_to_itself() -> None:
    rows = {"R-1": 1, "r-1": 5, "x": 2, "y ": 3, "z": 4}
    assert similar_keys.find(rows, ["R-1", "X", "y", "z", "Z"]) == [
        Alike("x", 2, "X", None), Alike("y ", 3, "y", None), Alike("r-1", 5, "R-1", 1),
    ]  # fmt: skip
    assert similar_keys.find({"a": 1, "b": 2}, ["a", "c"]) == []


def test_the_warning_names_the_rows_and_suggests_trim_where_that_corrects_all() -> None:
    (warning,) = similar_keys.warnings([Alike("a ", 7, "a", 2)], column="k", may_trim=True)
    assert (warning.code, warning.columns, warning.suggestion) == ("keys_alike", ("k",), {"trim": True})
    assert "'a ' in row 7 and 'a' in row 2" in warning.message
    (warning,) = similar_keys.warnings([Alike("a ", 7, "a", 2), Alike("B", 3, "b", None)], column="k", may_trim=True)
    assert warning.suggestion is None
    assert "'B' in row 3 and 'b' that is stored" in warning.message
    assert not similar_keys.warnings([], column="k", may_trim=True)


@given(st.sampled_from(["Ab c", "straße", "Ｒ１", "é x"]))
def test_the_spellings_that_are_looked_up_are_alike(key: str) -> None:
    assert key not in similar_keys.spellings(key)
    assert {similar_keys.fold(spelling) for spelling in similar_keys.spellings(key)} == {similar_keys.fold(key)}
