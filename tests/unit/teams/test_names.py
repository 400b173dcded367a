"""Names of teams in every script; and what shows nothing, or reorders text, is named."""

import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from collect.teams.names import name_of, what_is_wrong

NAMES = {
    "Bengali ra, joiner, ya-phala": "র‍্যাব ঢাকা",
    "Bengali ra, non-joiner, ya-phala": "র‌্যাব",
    "Assamese": "ক্‌ষেত্ৰ",
    "Kannada": "ಅರ‍್ಕ ಸರ‌್ಕಾರ",
    "Persian": "گروه‌های می‌خواهم",
    "Urdu": "ٹیم‌ورک",
    "Pashto abbreviation": "ه‍",
    "Malayalam chillu": "അവന്‍",
    "Sinhala": "ශ්‍රී ලංකා",
    "Devanagari": "क्‍ष र्‍य",
    "Khmer": "ភ្នំ‌ពេញ",
    "Myanmar": "မြန်မာ",
    "Javanese": "ꦱ꧀‌ꦏ",
    "Mongolian": "ᠠ᠎ᠠ ᠮᠣᠩᠭᠣᠯ\u202fᠤᠨ ᠠ᠋",
    "Adlam": "𞤀𞤣𞤤𞤢𞤥",
    "Hebrew": "צוות א׳",
    "Thai": "ทีมหนึ่ง",
    "Korean": "한국팀",
    "old Korean": "ᄀ\u1160",
    "Japanese, with a variation": "葛󠄀飾チーム",
    "Vietnamese": "Đội số một",
    "a family": "👨‍👩‍👧‍👦 team",
    "a skin tone": "👩🏽‍🚀",
    "a heart": "❤️ team",
    "text style": "☎︎",
    "a flag of two letters": "🇮🇳",
    "a flag of tags": "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "a flag with a joiner": "🏳️‍🌈",
    "a keycap": "1️⃣ North",
    "a kiss": "👩🏽‍❤️‍💋‍👨🏻",
    "a picture younger than Python's tables": "\U0001fae8 team",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_names_of_every_script_are_taken_as_they_are(name: str) -> None:
    assert name_of(name) == unicodedata.normalize("NFC", name)
    assert what_is_wrong(name_of(name)) is None


@pytest.mark.parametrize(
    ("name", "called", "place", "why"),
    [
        ("a\u200db", "U+200D ZERO WIDTH JOINER", 2, "shows nothing"),
        ("1\u200d2", "U+200D ZERO WIDTH JOINER", 2, "shows nothing"),
        ("👨\u200d", "U+200D ZERO WIDTH JOINER", 2, "shows nothing"),
        ("می\u200c\u200cخ", "U+200C ZERO WIDTH NON-JOINER", 4, "shows nothing"),
        ("گروه\u200c", "U+200C ZERO WIDTH NON-JOINER", 5, "shows nothing"),
        ("ক\u200d\u200d", "U+200D ZERO WIDTH JOINER", 3, "shows nothing"),
        ("x y\u200bz", "U+200B ZERO WIDTH SPACE", 4, "shows nothing"),
        ("Nor\u00adth", "U+00AD SOFT HYPHEN", 4, "shows nothing"),
        ("a\u034fb", "U+034F COMBINING GRAPHEME JOINER", 2, "shows nothing"),
        ("a\u3164b", "U+3164 HANGUL FILLER", 2, "shows nothing"),
        ("a\ufe0fb", "U+FE0F VARIATION SELECTOR-16", 2, "shows nothing"),
        ("a\U000e0041", "U+E0041 TAG LATIN CAPITAL LETTER A", 2, "shows nothing"),
        ("x\ufeffy", "U+FEFF ZERO WIDTH NO-BREAK SPACE", 2, "shows nothing"),
        ("x\u200e", "U+200E LEFT-TO-RIGHT MARK", 2, "shows nothing"),
        ("\u200fשלום", "U+200F RIGHT-TO-LEFT MARK", 1, "shows nothing"),
        ("a\tb", "U+0009 TAB", 2, "shows nothing"),
        ("two\nlines", "U+000A LINE FEED", 4, "breaks the line"),
        ("\u202eright to left", "U+202E RIGHT-TO-LEFT OVERRIDE", 1, "reorders the text"),
        ("ab\u2067c\u2069", "U+2067 RIGHT-TO-LEFT ISOLATE", 3, "reorders the text"),
    ],
)
def test_what_shows_nothing_or_reorders_is_named_with_its_place(name: str, called: str, place: int, why: str) -> None:
    said = what_is_wrong(name_of(name))
    assert said is not None
    assert f"has {called} as character {place}, which {why}" in said


@pytest.mark.parametrize("blank", ["\u00a0", "\u202f", "\u2009", "\u3000"])
def test_every_kind_of_blank_in_a_name_is_a_plain_one(blank: str) -> None:
    assert name_of(f"{blank}Team{blank}A{blank}") == "Team A"


def test_a_break_that_does_not_show_between_words_of_khmer_or_thai_makes_no_other_team() -> None:
    assert name_of("ក្រុម\u200bការងារ") == "ក្រុមការងារ"
    assert name_of("ทีม\u200bหนึ่ง") == "ทีมหนึ่ง"
    assert what_is_wrong(name_of("Team\u200bA")) is not None


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_a_name_that_is_taken_shows_something_in_each_cluster_and_is_kept_the_same_twice(text: str) -> None:
    name = name_of(text)
    assert name_of(name) == name
    if name and what_is_wrong(name) is None:
        for cluster in regex.findall(r"\X", name):
            hidden = regex.fullmatch(r"[\p{Default_Ignorable_Code_Point}\p{Cc}\p{Zl}\p{Zp}]+", cluster)
            assert hidden is None or regex.fullmatch(r"\u180e", cluster), ascii(name)
        assert not regex.search(r"[\u202a-\u202e\u2066-\u2069]", name)
