"""Rather a reject than a stranger's phone: in every country, however a second number or an extension is written."""

import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat

from collect.csv import cells, phones, wrong_phones
from collect.jobs.template import Column

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
FORMATS = (
    PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.NATIONAL, PhoneNumberFormat.RFC3966,
)  # fmt: skip
SEVERAL = (
    "/21", "/2", " / {n}", "/{n}", ", {n}", "; {n}", " oder {n}", " or {n}", "\n{n}", "\r\n{n}", " {n}", " - {n}",
    " ({n})", " (21)", " - 21", " & {n}", " {e}", " / {e}", "/{e}", "{e}", " + {e}", " / {s}", " {s}", "-{s}",
)  # fmt: skip
EXTENSIONS = (" x12", " ext. 12", "#12", ";ext=12", " Durchwahl 12", " ext 5", " доб. 12", " (ext 7)")


def examples(region: str) -> list[phonenumbers.PhoneNumber]:
    found = (phonenumbers.example_number_for_type(region, kind) for kind in range(11))
    return [number for number in found if number is not None and phonenumbers.is_valid_number(number)]


def code(text: str, country: str | None) -> str:
    (error,) = cells.check(Column(name="c", type="phone", country=country), pa.array([text]), required=False).errors
    return error[1].code


@pytest.mark.parametrize("region", REGIONS)
def test_each_example_of_a_country_reads_as_itself_in_every_format(region: str) -> None:
    for number in examples(region):
        own = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        texts = [phonenumbers.format_number(number, form) for form in FORMATS]
        assert {phones.e164(text, region) for text in texts} == {own}
        assert phones.all_e164(texts, region) == dict.fromkeys(texts, own)


@pytest.mark.parametrize("region", REGIONS)
def test_a_number_with_another_behind_it_is_read_as_none(region: str) -> None:
    for number in examples(region):
        other = phonenumbers.PhoneNumber()
        other.merge_from(number)
        assert number.national_number is not None
        other.national_number = number.national_number + 1
        national, own = (phonenumbers.format_number(other, form) for form in (FORMATS[2], FORMATS[0]))
        for form in FORMATS[:3]:
            first = phonenumbers.format_number(number, form)
            texts = [first + way.format(n=national, e=own, s=other.national_number) for way in SEVERAL]
            texts += [first + way for way in EXTENSIONS]
            read = phones.all_e164(texts, region)
            assert read == {text: phones.e164(text, region) for text in texts}
            assert not {text: as_read for text, as_read in read.items() if as_read is not None}


@pytest.mark.parametrize("region", REGIONS)
def test_no_digit_behind_a_whole_number_is_glued_on(region: str) -> None:
    for number in examples(region):
        for form in FORMATS[:3]:
            first = phonenumbers.format_number(number, form)
            texts = [f"{first}{between}{digit}" for between in "-. " for digit in "0189"]
            assert phones.all_e164(texts, region) == dict.fromkeys(texts)


@pytest.mark.parametrize("region", REGIONS)
def test_a_zero_in_parentheses_makes_no_strangers_number(region: str) -> None:
    for number in examples(region):
        own = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        calling, _, rest = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL).partition(" ")
        for text in (f"{calling} (0){rest}", f"{calling} (0) {rest}", f"00{calling[1:]} (0) {rest}"):
            assert phones.e164(text, region) in (own, None)


def test_a_zero_in_parentheses_is_left_out_where_it_is_dialled_at_home_alone() -> None:
    assert phones.e164("+49 (0)30 901820", None) == "+4930901820"
    assert phones.e164("0049 (0)30 901820", "DE") == "+4930901820"
    assert phones.e164("+44 (0)20 7946 0958", "GB") == "+442079460958"
    assert phones.e164("+36 (0)1 234 5678", "HU") == "+3612345678"


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("030/901820", "DE", "+4930901820"),
        ("030 / 901820", "DE", "+4930901820"),
        ("0172/1234567", "DE", "+491721234567"),
        ("02651/12345", "DE", "+49265112345"),
        ("030 - 901820", "DE", "+4930901820"),
        ("030 12 34 56 78", "DE", "+493012345678"),
        ("030/9018 2021", "DE", "+493090182021"),
        ("(030) 9018 2021", "DE", "+493090182021"),
        ("01 5137 44 10", "AT", "+43151374410"),
        ("01 23 45 67 89", "FR", "+33123456789"),
        ("(11) 98765-4321", "BR", "+5511987654321"),
        ("040-123-4567", "FI", "+358401234567"),
        ("0512/123456", "AT", "+43512123456"),
        ("98200/00001", "IN", "+919820000001"),
        ("+91 98450/12345", None, "+919845012345"),
        ("tel:+49-30-901820", None, "+4930901820"),
        ("8 (800) 123-45-67", "RU", "+78001234567"),
        ("0172\u200b 123\u00ad4567\ufeff", "DE", "+491721234567"),
        ("0172\u2009123\u30004567", "DE", "+491721234567"),
    ],
)
def test_a_slash_between_two_groups_of_one_number_does_no_harm(text: str, country: str | None, number: str) -> None:
    assert phones.e164(text, country) == number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("030 901820/21", "several_phones"),
        ("030/901820/21", "several_phones"),
        ("0172 1234567 / 0172 7654321", "several_phones"),
        ("0172 1234567;0172 7654321", "several_phones"),
        ("0172 1234567, 0172 7654321", "several_phones"),
        ("0172 1234567 oder 0172 7654321", "several_phones"),
        ("0172 1234567 or 0172 7654321", "several_phones"),
        ("0172 1234567\n0172 7654321", "several_phones"),
        ("030 901820 (21)", "several_phones"),
        ("030 901820 - 22", "several_phones"),
        ("030 901820-21", "several_phones"),
        ("030-901820-21", "several_phones"),
        ("030 901820 21", "several_phones"),
        ("030 123456.1", "several_phones"),
        ("030/901820-0", "several_phones"),
        ("21/030 901820", "several_phones"),
        ("030 901820 ext. 12", "phone_with_extension"),
        ("030 901820 x12", "phone_with_extension"),
        ("030 901820#12", "phone_with_extension"),
        ("+4930901820;ext=12", "phone_with_extension"),
        ("030 901820 Durchwahl 12", "phone_with_extension"),
        ("0800-FLOWERS1", "phone_with_letters"),
        ("tel 0172 1234567", "phone_with_letters"),
        ("0172 1234567 (Anna)", "phone_with_letters"),
        ("O172 1234567", "phone_with_letters"),
        ("none", "not_a_phone"),
        ("12", "not_a_phone"),
    ],
)
def test_the_code_says_why_a_text_is_no_phone(text: str, expected: str) -> None:
    assert code(text, "DE") == expected


@pytest.mark.parametrize(
    ("text", "country"),
    [("040-1234567-8", "FI"), ("021-1234567-8", "ID"), ("+358 40 1234567-8", None), ("+62 21 1234567 8", None)],
)
def test_a_digit_behind_a_whole_number_makes_no_longer_one(text: str, country: str | None) -> None:
    assert (phones.e164(text, country), code(text, country)) == (None, "several_phones")
    assert phones.all_e164([text], country) == {text: None}


@pytest.mark.parametrize("text", ["+49 30 901820/21", "+49 30 901820 / 030 901821", "+49 30 901820 +49 30 901821"])
def test_a_second_number_is_seen_without_a_country_too(text: str) -> None:
    assert (phones.e164(text, None), code(text, None)) == (None, "several_phones")


def test_the_message_says_what_to_do() -> None:
    assert wrong_phones.what_is_wrong("030 901820/21", "DE") == (
        "several_phones",
        "holds more than one number, or may be read as two: give one alone.",
    )
    assert wrong_phones.what_is_wrong("9845012345", None)[1] == (
        "is no phone number. It has to begin with + and a calling code."
    )


@given(
    region=st.sampled_from(REGIONS),
    kind=st.integers(0, 10),
    way=st.sampled_from(["/", " / ", " - ", " ", "-", "(", "."]),
    digits=st.text("0123456789", min_size=1, max_size=11),
)
def test_digits_behind_a_slash_or_a_dash_make_no_other_number_of_a_whole_one(
    region: str, kind: int, way: str, digits: str
) -> None:
    number = phonenumbers.example_number_for_type(region, kind)
    if number is None or not phonenumbers.is_valid_number(number):
        return
    text = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL) + way + digits
    assert phones.all_e164([text], region)[text] == phones.e164(text, region)
    if way in ("/", " / ", " - ", "("):
        assert phones.e164(text, region) is None
