"""Phone numbers: any spelling to E.164, one text at a time or a whole column at once."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cache, lru_cache, partial, reduce
from itertools import repeat
from typing import NamedTuple

import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
from phonenumbers import PhoneMetadata, PhoneNumberFormat
from phonenumbers.phonemetadata import PhoneNumberDesc

MOST_CHARACTERS = 40
FEWEST_DIGITS = 4
"""Fewest digits of a phone number in any country."""
FEWEST_BESIDE_ANOTHER = 5
"""Fewest digits of each of two numbers with only a blank or a hyphen between them. In Luxembourg ``27 12 34 56`` is one
number."""
WITH_DECIMALS = re.compile(r"'?(?:\+?[0-9 ]+\.0+|[0-9]\.[0-9]+)")
"""A number that a spreadsheet or a script treated as an amount, with decimals. Its original digits are not known."""
_SPELT = re.compile(r"'?[0-9+\-()./ ]+")
_BETWEEN = str.maketrans("", "", "'-()./ ")
"""Characters that people put between digits, and the apostrophe that keeps a spreadsheet from changing a number."""
_GAP = re.compile(r"(?<=[0-9])[^0-9+]+(?=[0-9+])")
"""The characters between two groups of digits."""
_BEGINS_ANOTHER = re.compile(r".*[/(].*|\s+-+\s+")
"""A gap behind a whole number that begins a second number or an addition: ``/21``, ``(21)``, `` - 21``."""
_BEHIND_AREA_CODE = re.compile(r"[/)]")
DIGITS_OF_A_WHOLE = 6
"""A group of at least so many digits is the end of a number: people write shorter groups within a number."""
_OPTIONAL_ZERO = re.compile(r"(?P<code>'?\(?(?:\+|00)[0-9 .\-]{1,5}\)?[ .\-]*)\(0\)")
"""``+49 (0)30``: a zero that is dialled only within the country."""
_DIGITS = re.compile(r"\+?[0-9]+")
_LINK = "tel:"
_PASTED = {
    **dict.fromkeys((0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " "),
    **dict.fromkeys((*range(0x2010, 0x2016), 0x2212), "-"),
    **dict.fromkeys(
        (0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060, *range(0x2066, 0x206A), 0xFEFF), None
    ),
}
"""Blanks, hyphens and characters that show nothing, which come along when a number is copied from a web page."""
_CALLING_CODE = re.compile(r"(?:\+|00)?([1-9][0-9]{0,2})")
_KINDS = (
    "fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "voip", "personal_number", "pager", "uan",
    "voicemail",
)  # fmt: skip


def cleaned(text: str) -> str:
    """Return the digits of a number, with the plus sign before them if there is one; other texts unchanged."""
    if _DIGITS.fullmatch(text):
        return text
    text = _plain(text)
    return text.translate(_BETWEEN) if _SPELT.fullmatch(text) and not WITH_DECIMALS.fullmatch(text) else text


def e164(text: str, country: str | None) -> str | None:
    """Return the number in E.164 if the text is one valid number beyond doubt, else ``None``.

    Without ``country`` the text must begin with a plus sign. A text that may be two numbers is none.
    """
    number = cleaned(text)
    if len(number) > MOST_CHARACTERS or not _DIGITS.fullmatch(number):
        return None
    if number == text:
        return _parsed(text, country)
    spelt = _plain(text)
    readings = {_parsed(number, country)}
    if _OPTIONAL_ZERO.match(spelt):
        readings.add(_parsed(cleaned(_OPTIONAL_ZERO.sub(r"\g<code>", spelt)), country))
    readings.discard(None)
    return readings.pop() if len(readings) == 1 and not may_be_several(spelt, country) else None


def may_be_several(text: str, country: str | None) -> bool:
    """Return whether a text of digits and separators may be more than one number.

    It may if the digits before a gap are a valid number by themselves, and the digits behind the gap are one as well or
    the gap begins another number, as in ``030 901820/21``. It may also if its last group looks like an extension, or
    like the end of a second number, as in ``040-1234567-8``.
    """
    number = cleaned(text)
    own = _by_calling_code(number) if number.startswith("+") else country
    code = len(f"+{phonenumbers.country_code_for_region(own)}") if number.startswith("+") and own else 0
    least = min(_fewest_digits(own), _fewest_digits(country))
    if _has_suffix(text, country, fewest=code + least):
        return True
    for gap in _GAP.finditer(text):
        left, right = cleaned(text[: gap.start()]), cleaned(text[gap.end() :])
        begins_another = _BEGINS_ANOTHER.fullmatch(gap.group()) is not None
        left_may_be = len(left) - code >= least
        right_may_be = len(right) >= (least if begins_another else max(least, FEWEST_BESIDE_ANOTHER))
        if begins_another:
            if left_may_be and _number(left, country):
                return True
            if right_may_be and _is_dialled(right, country) and _is_other(right, number, country):
                return True
        elif (
            left_may_be and right_may_be and len(left) - code >= FEWEST_BESIDE_ANOTHER
            and _number(left, country) and _is_other(right, number, country)
        ):  # fmt: skip
            return True
    return False


def _has_suffix(text: str, country: str | None, *, fewest: int) -> bool:
    """Return whether the last group of digits looks added to a number that is valid without it.

    It looks added in three cases: it has one digit; its separator differs from the separator before; or it follows a
    group of six digits or more. People do not write one number in such groups. The exception is a blank in a number
    whose area code has its own separator. ``fewest``: fewest characters of a number.
    """
    gaps = list(_GAP.finditer(text))
    if not gaps:
        return False
    last, before = gaps[-1], gaps[-2] if len(gaps) > 1 else None
    suffix, group = cleaned(text[last.end() :]), text[before.end() if before else 0 : last.start()]
    is_other = before is not None and before.group() != last.group()
    if is_other and before is not None and last.group() == " ":
        is_other = not _BEHIND_AREA_CODE.search(before.group())
    if not (len(suffix) == 1 or is_other or len(cleaned(group)) >= DIGITS_OF_A_WHOLE):
        return False
    left = cleaned(text[: last.start()])
    return len(left) >= fewest and _number(left, country) is not None


def all_e164(texts: Iterable[str], country: str | None) -> dict[str, str | None]:
    """Return text → the result of :func:`e164` for it. The numbers of one calling code are checked all together."""
    code = f"+{phonenumbers.country_code_for_region(country)}" if country else ""
    found: dict[str, str | None] = {}
    among: defaultdict[str | None, dict[str, str]] = defaultdict(dict)
    for text in dict.fromkeys(texts):
        number = cleaned(text)
        if number.startswith("+"):
            among[_by_calling_code(number)][text] = number
        else:
            among[country][text] = code + number
    for of, numbers in among.items():
        plain = as_they_are(pa.array(numbers.values(), pa.string()), of)
        taken = repeat(False) if plain is None else plain.to_pylist()
        for (text, number), is_plain in zip(numbers.items(), taken, strict=False):
            found[text] = number if is_plain and _is_beyond_doubt(text, country) else e164(text, country)
    return found


def as_they_are(texts: pa.Array, country: str | None) -> pa.Array | None:
    """Return which texts are E.164 of ``country`` beyond doubt, so that :func:`e164` returns them unchanged.

    ``None``: nothing is known about the country.
    """
    each = [_matching(texts, patterns) for patterns in _patterns(country)]
    return reduce(pc.or_, each) if each else None


def country_of(code: str) -> str | None:
    """Return the country (``IN``) of a calling code (``91``, ``+91``, ``0091``) or of the country's own code.

    If several countries share a calling code, it is the main one. The numbers of all of them are read by its rules.
    """
    return _country_of(code) if len(code) <= MOST_CHARACTERS else None


def _plain(text: str) -> str:
    """Return the text without characters that come along when it is copied, and without the ``tel:`` of a link."""
    if not text.isascii():
        text = text.translate(_PASTED)
    return text[len(_LINK) :] if text[: len(_LINK) + 1].lower() == f"{_LINK}+" else text


def _is_beyond_doubt(text: str, country: str | None) -> bool:
    """Return whether a text whose digits are a valid number can mean only that number."""
    spelt = _plain(text)
    return _OPTIONAL_ZERO.match(spelt) is None and not may_be_several(spelt, country)


def _number(text: str, country: str | None) -> str | None:
    """Return the digits as a valid number in E.164, or ``None``."""
    return _parsed(text, country) if len(text) <= MOST_CHARACTERS and _DIGITS.fullmatch(text) else None


def _is_other(part: str, number: str, country: str | None) -> bool:
    """Return whether a part of a number's digits is a valid number by itself, and another one."""
    return _number(part, country) not in (None, _number(number, country))


def _is_dialled(number: str, country: str | None) -> bool:
    """Return whether a number begins with a calling code or the national prefix, as people dial it.

    In a country without a national prefix each number does.
    """
    metadata = None if country is None else PhoneMetadata.metadata_for_region(country)
    prefix = None if metadata is None else metadata.national_prefix
    return not prefix or number.startswith(("+", "00", prefix))


@cache
def _fewest_digits(country: str | None) -> int:
    """Return the fewest digits of a number in the country; without a known country, of a number in any country."""
    metadata = None if country is None else PhoneMetadata.metadata_for_region(country)
    if metadata is None or metadata.general_desc is None:
        return FEWEST_DIGITS
    return max(FEWEST_DIGITS, min(metadata.general_desc.possible_length))


@lru_cache(maxsize=100_000)
def _parsed(text: str, country: str | None) -> str | None:
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


@lru_cache(maxsize=1_000)
def _country_of(code: str) -> str | None:
    if code.upper() in phonenumbers.SUPPORTED_REGIONS:
        return code.upper()
    digits = _CALLING_CODE.fullmatch(code)
    countries = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(digits[1]), ()) if digits else ()
    return next((country for country in countries if country in phonenumbers.SUPPORTED_REGIONS), None)


def _by_calling_code(number: str) -> str | None:
    """Return the country by whose rules a number is read that begins with a plus sign; ``None`` if it is unknown."""
    return next((country for end in (2, 3, 4) if (country := country_of(number[1:end]))), None)


class _Patterns(NamedTuple):
    """The patterns (RE2) of a country's numbers: a number in E.164 matches each of ``all_of``, none of ``none_of``."""

    all_of: tuple[str, ...]
    none_of: tuple[str, ...]


@cache
def _patterns(country: str | None) -> tuple[_Patterns, ...]:
    """Return the patterns of the country, and of countries that share its calling code without own leading digits.

    A number in doubt matches none of them: it begins like a national prefix, or with the leading digits of another of
    these countries.
    """
    main = None if country is None else PhoneMetadata.metadata_for_region(country)
    if main is None or main.country_code is None:
        return ()
    code = rf"\A\+{main.country_code}"
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[main.country_code]
    sharing = {region: each for region in regions if (each := PhoneMetadata.metadata_for_region(region)) is not None}
    known_by = {region: each.leading_digits if len(regions) > 1 else None for region, each in sharing.items()}
    found = []
    for region, each in sharing.items():
        own, others = known_by[region], [known_by[other] for other in sharing if other != region]
        if (numbers := _numbers(code, each)) and (own is None or region == country):
            doubtful = _beginning(code, [main.national_prefix_for_parsing, *others])
            found.append(_Patterns((*numbers, *_beginning(code, [own])), doubtful))
    return tuple(found)


def _matching(texts: pa.Array, patterns: _Patterns) -> pa.Array:
    matching = partial(pc.match_substring_regex, texts)
    found = reduce(pc.and_, (matching(pattern=each) for each in patterns.all_of))
    return reduce(pc.and_not, (matching(pattern=each) for each in patterns.none_of), found)


def _numbers(code: str, metadata: PhoneMetadata) -> tuple[str, ...]:
    """Return two patterns; a country's numbers match both. One is for their kinds, one for numbers in general."""
    forms = [form for kind in _KINDS if (form := _form(getattr(metadata, kind)))]
    general = _form(metadata.general_desc)
    return (rf"{code}(?:{'|'.join(forms)})\z", rf"{code}{general}\z") if forms and general else ()


def _beginning(code: str, digits: Iterable[str | None]) -> tuple[str, ...]:
    """Return a pattern of the numbers that begin with any of ``digits``; empty without digits."""
    any_of = "|".join(filter(None, digits))
    return (f"{code}(?:{any_of})",) if any_of else ()


def _form(desc: PhoneNumberDesc | None) -> str | None:
    if desc is None or not desc.national_number_pattern or desc.national_number_pattern == "NA":
        return None
    return f"(?:{desc.national_number_pattern})"
