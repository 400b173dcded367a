"""Phone numbers: any spelling to E.164, and whole columns of E.164 checked without looking at each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import NamedTuple

import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
from phonenumbers import PhoneMetadata, PhoneNumberFormat
from phonenumbers.phonemetadata import PhoneNumberDesc

MOST_CHARACTERS = 40
IN_SCIENTIFIC_NOTATION = re.compile(r"[0-9.]+[eE]\+?[0-9]+")
"""What a spreadsheet makes of a number that is long."""
WITH_DECIMALS = re.compile(r"'?(?:\+?[0-9 ]+\.0+|[0-9]\.[0-9]+)")
"""What a spreadsheet or a script makes of a number with which it reckons: it is not known what the digits were."""
_SPELT = re.compile(r"'?[0-9+\-()./ ]+")
_BETWEEN = str.maketrans("", "", "'-()./ ")
"""What people put between the digits, and the apostrophe before a number that a spreadsheet is to leave alone."""
_DIGITS = re.compile(r"\+?[0-9]+")
_PASTED = {
    **dict.fromkeys((0xA0, 0x2007, 0x202F), " "),
    **dict.fromkeys((*range(0x2010, 0x2016), 0x2212), "-"),
    **dict.fromkeys((0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)), None),
}
"""Blanks, hyphens and marks of direction that come along when a number is copied from a page or a list of contacts."""
_CALLING_CODE = re.compile(r"(?:\+|00)?([1-9][0-9]{0,2})")
_KINDS = (
    "fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "voip", "personal_number", "pager", "uan",
    "voicemail",
)  # fmt: skip


def cleaned(text: str) -> str:
    """The digits of a number, and the plus sign before them; what is spelt as no number comes back as it is."""
    if not text.isascii():
        text = text.translate(_PASTED)
    return text.translate(_BETWEEN) if _SPELT.fullmatch(text) and not WITH_DECIMALS.fullmatch(text) else text


def e164(text: str, country: str | None) -> str | None:
    """The number in E.164, if it is valid; without ``country`` it must begin with a plus sign."""
    number = cleaned(text)
    if len(number) > MOST_CHARACTERS or not _DIGITS.fullmatch(number):
        return None
    return _parsed(number, country)


def all_e164(texts: Iterable[str], country: str | None) -> dict[str, str | None]:
    """Text → the same as :func:`e164` of it. Those that are digits only are looked at all together."""
    distinct = list(dict.fromkeys(texts))
    code = f"+{phonenumbers.country_code_for_region(country)}" if country else ""
    whole = [code + text if text.isascii() and text.isdigit() else text for text in distinct]
    plain = as_they_are(pa.array(whole, pa.string()), country)
    if plain is None:
        return {text: e164(text, country) for text in distinct}
    return {
        text: number if is_plain else e164(text, country)
        for text, number, is_plain in zip(distinct, whole, plain.to_pylist(), strict=True)
    }


def as_they_are(texts: pa.Array, country: str | None) -> pa.Array | None:
    """Which of these texts are valid E.164 of ``country``, so that :func:`e164` gives them back.

    ``None`` where the calling code belongs to several countries: which of them a number is in decides about it.
    """
    patterns = _patterns(country)
    if patterns is None:
        return None
    found = pc.and_(*(pc.match_substring_regex(texts, pattern=each) for each in patterns.all_of))
    if patterns.none_of is not None:
        found = pc.and_not(found, pc.match_substring_regex(texts, pattern=patterns.none_of))
    return found


def country_of(code: str) -> str | None:
    """The country (as ``IN``) that a calling code (``91``, ``+91``, ``0091``) or the country's own code stands for.

    Of several countries with one calling code it is the main one, by whose rules numbers of all of them are read.
    """
    return _country_of(code) if len(code) <= MOST_CHARACTERS else None


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


class _Patterns(NamedTuple):
    """Patterns (RE2) of a country's numbers in E.164: those of its kinds and of all, and of what may be a prefix."""

    all_of: tuple[str, str]
    none_of: str | None


@cache
def _patterns(country: str | None) -> _Patterns | None:
    metadata = None if country is None else PhoneMetadata.metadata_for_region(country)
    if metadata is None or metadata.country_code is None or metadata.general_desc is None:
        return None
    if len(phonenumbers.COUNTRY_CODE_TO_REGION_CODE[metadata.country_code]) > 1:
        return None
    prefix = metadata.national_prefix_for_parsing
    if prefix and metadata.national_prefix_transform_rule:
        return None
    forms = [form for kind in _KINDS if (form := _form(getattr(metadata, kind))) is not None]
    general = _form(metadata.general_desc)
    if not forms or general is None:
        return None
    code = rf"\A\+{metadata.country_code}"
    return _Patterns(
        (rf"{code}(?:{'|'.join(forms)})\z", rf"{code}{general}\z"), f"{code}(?:{prefix})" if prefix else None
    )


def _form(desc: PhoneNumberDesc | None) -> str | None:
    if desc is None or not desc.national_number_pattern or desc.national_number_pattern == "NA":
        return None
    return f"(?:{desc.national_number_pattern})"
