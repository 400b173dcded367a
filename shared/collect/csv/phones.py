"""Phone numbers: any spelling to E.164, and whole columns of E.164 checked without looking at each."""

from __future__ import annotations

from functools import cache, lru_cache

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberFormat
from phonenumbers.phonemetadata import PhoneNumberDesc

MOST_CHARACTERS = 40
_KINDS = (
    "fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "voip", "personal_number", "pager", "uan",
    "voicemail",
)  # fmt: skip


@lru_cache(maxsize=100_000)
def e164(text: str, country: str | None) -> str | None:
    """The number in E.164, if it is valid; without ``country`` it must begin with a plus sign."""
    if len(text) > MOST_CHARACTERS or not text.isascii() or any(letter.isalpha() for letter in text):
        return None
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


@cache
def pattern(country: str | None) -> str | None:
    """A pattern (RE2) of texts that are valid E.164 of ``country``, so that :func:`e164` would give them back.

    ``None`` where the calling code belongs to several countries: which of them a number is in decides about it.
    """
    metadata = None if country is None else PhoneMetadata.metadata_for_region(country)
    if metadata is None or metadata.country_code is None:
        return None
    if len(phonenumbers.COUNTRY_CODE_TO_REGION_CODE[metadata.country_code]) > 1:
        return None
    if metadata.national_prefix_for_parsing and metadata.national_prefix_transform_rule:
        return None
    wanted = [getattr(metadata, kind) for kind in _KINDS]
    forms = [form for form in map(_form, wanted) if form is not None]
    return rf"\A\+{metadata.country_code}(?:{'|'.join(forms)})\z" if forms else None


def _form(desc: PhoneNumberDesc | None) -> str | None:
    if desc is None or not desc.national_number_pattern or desc.national_number_pattern == "NA":
        return None
    return f"(?:{desc.national_number_pattern})"
