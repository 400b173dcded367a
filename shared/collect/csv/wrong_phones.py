"""Messages for texts that are no phone number: a code, and a sentence that says what to do."""

from __future__ import annotations

import re

from collect.csv import phones

_IN_SCIENTIFIC_NOTATION = re.compile(r"[0-9.]+[eE]\+?[0-9]+")
"""A long number as a spreadsheet shortens it."""
_EXTENSION = re.compile(
    r"(?<=[0-9)\s;,.])\s*(?:;?ext(?:ension|n)?|x|#|durchwahl|dw|klappe|kl|apparat|app|poste|interno|int|anexo|ramal"
    r"|toestel|tst|доб|вн|内线|转)\s*[.:=]?\s*[0-9]+\)?\s*",
    re.IGNORECASE,
)
"""A word for an extension, in the languages that use one, and the digits after it."""
_BETWEEN_NUMBERS = re.compile(
    r"[/;,|&\r\n(]|\s-+\s|\b(?:or|and|oder|und|ou|et|o|y|e|u|или|и|of|en|atau)\b", re.IGNORECASE
)
"""Separators that people put between two numbers."""
_LETTER = re.compile(r"[^\W\d_]")
_DIGIT = re.compile(r"\d")


def what_is_wrong(text: str, country: str | None) -> tuple[str, str]:
    """Return the code and the message (from its verb on) for a text that :func:`phones.e164` returns ``None`` for."""
    if _IN_SCIENTIFIC_NOTATION.fullmatch(text):
        said = "was shortened by a spreadsheet (scientific notation); its digits are lost."
        return "phone_in_scientific_notation", said
    if phones.WITH_DECIMALS.fullmatch(text):
        said = "has decimals, as spreadsheets and scripts make them of numbers: give its digits as text."
        return "phone_with_decimals", said
    if (before := _without_extension(text)) is not None and phones.e164(before, country):
        return "phone_with_extension", "has an extension, which is not kept: give the number without it."
    if _has_several(text, country):
        return "several_phones", "holds more than one number, or may be read as two: give one alone."
    if _LETTER.search(text) and _DIGIT.search(text):
        return "phone_with_letters", "is no phone number: it has letters. Give the digits alone."
    where = f" valid in {country}" if country else ""
    hint = "" if country or not phones.cleaned(text).isdecimal() else " It has to begin with + and a calling code."
    return "not_a_phone", f"is no phone number{where}.{hint}"


def _without_extension(text: str) -> str | None:
    extension = _EXTENSION.search(text)
    if extension is None or extension.end() != len(text):
        return None
    return text[: extension.start()].rstrip(" ;,.(")


def _has_several(text: str, country: str | None) -> bool:
    """Return whether a text holds several numbers: one before a separator and digits behind it, or two readings."""
    for between in _BETWEEN_NUMBERS.finditer(text):
        before, behind = text[: between.start()].strip(), text[between.end() :]
        if _DIGIT.search(behind) and phones.e164(before, country):
            return True
    return phones.may_be_several(text, country)
