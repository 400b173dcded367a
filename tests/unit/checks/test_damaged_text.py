"""Which cells look damaged, and from how many on it is said. Ordinary text raises no alarm."""

import pytest

from collect.checks import damaged_text
from collect.checks.damaged_text import Damage
from collect.checks.warning import Warning
from collect.csv.cell_rules import CellRules
from collect.csv.layout import Layout
from collect.jobs.template import Template

TEMPLATE = Template.model_validate(
    {
        "key": ["k"],
        "columns": [
            {"name": "k", "type": "string"},
            {"name": "s", "type": "string", "null_values": ["#N/A"]},
            {"name": "t", "type": "string"},
        ],
    }
)
LAYOUT = Layout(delimiter=",", columns=("k", "s", "t"))


def warnings(cells: list[str], *, rules: CellRules | None = None, encoding: str | None = None) -> list[Warning]:
    rows = [(row, f"r{row},,{cell}".encode()) for row, cell in enumerate(cells, start=1)]
    return damaged_text.find(rows, LAYOUT, TEMPLATE, rules or CellRules(), looked_at=len(rows), encoding=encoding)


def as_cp1252(text: str) -> str:
    return "".join(
        bytes([byte]).decode("cp1252") if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else chr(byte)
        for byte in text.encode()
    )


@pytest.mark.parametrize(
    ("text", "damage"),
    [
        *((error, Damage.FORMULA) for error in ("#NAME?", "#REF!", "#VALUE!", "#DIV/0!", "#N/A", "#NULL!", " #num! ")),
        *((error, Damage.FORMULA) for error in ("#WERT!", "#BEZUG!", "#NV", "#NOM?", "#¡REF!", "#¿NOMBRE?", "#ИМЯ?")),
        ("Err:502", Damage.FORMULA),
        *((error, Damage.FORMULA) for error in ("=#REF!", "Erreur #REF!", "Error: #N/A", "=SUM(#REF!,A1)")),
        ("M\u00ef\u00bf\u00bdller", Damage.LOST),
        *((text, Damage.MOJIBAKE) for text in ("\u00ef\u00bb\u00bfx", "Ã“SCAR", "Ã‰COLE", "Ã©", "РџСЂРёРІРµС‚")),
        *((text.encode().decode("mac_roman"), Damage.MOJIBAKE) for text in ("café", "Müller", "It’s", "Élan")),
        *((text.encode().decode("cp850"), Damage.MOJIBAKE) for text in ("café", "Müller", "It’s", "École")),
        ("naïve “x”".encode("cp1252").decode("latin-1"), Damage.CONTROLS),
        ("########", Damage.TOO_NARROW),
        ("M\ufffdller", Damage.LOST),
        ("????", Damage.QUESTION_MARKS),
        ("????? ??????", Damage.QUESTION_MARKS),
        ("????-??, 12", Damage.QUESTION_MARKS),
        ("M??ller", Damage.QUESTION_MARKS),
        *((as_cp1252(text), Damage.MOJIBAKE) for text in (
            "café", "It’s", "“quoted”", "voilà", "Île d’Oléron", "Müller", "Łódź", "नमस्ते", "ঢাকা", "Санкт", "日本",
            "😀 ok", "10 °C", "naïve",
        )),
        ("na\u00c3\u00afve".encode("latin-1").decode("latin-1"), Damage.MOJIBAKE),
    ],
)  # fmt: skip
def test_damage_is_known_by_its_looks(text: str, damage: Damage) -> None:
    assert damaged_text.of(text) is damage


@pytest.mark.parametrize(
    "text",
    [
        "", "?", "??", "???", "Really???", "Why ???? no", "What?? I mean", "http://x.org/a?b", "a=1?b=2", "São Paulo",
        "CORAÇÃO", "CAFÉ…", "café…", "voilà\u00a0»", "»Ä«", "ÜBER«", "été–hiver", "10 °C", "naïve “quoted”",
        "Zażółć gęślą", "日本語テキスト", "ঢাকা", "Straße", "#1", "# hash",
        "#hashtag", "#nvidia", "#REFs!", "N/A", "###", "a#N/A", "1?2", "اهلا", "“É”",
        "Россия", "РОССИЯ", "СССР", "Рим и Рёрих", "Срібло РІЇС", "√2", "2√π", "√ ok", "├── src", "│ ├ x", "Ô Çà",
        "wait\x85", "= 5", "=A1", "Error #7", "error: none",
    ],
)  # fmt: skip
def test_ordinary_text_is_not_damaged(text: str) -> None:
    assert damaged_text.of(text) is None
    assert not warnings([text] * 50)


@pytest.mark.parametrize(
    "cell",
    [
        "#REF!",
        "#ИМЯ?",
        "#¡REF!",
        "Err:502",
        "########",
        "M\ufffdller",
        as_cp1252("Müller"),
        as_cp1252("It’s"),
        "Ã“SCAR",
        "Ã‰COLE",
        "Ã©",
        "M\u00ef\u00bf\u00bdller",
        "\u00ef\u00bb\u00bfx",
        "РџСЂРёРІРµС‚",
        "M√ºller",
        "M├╝ller",
        "=#REF!",
        "Erreur #REF!",
    ],
)
def test_damage_beyond_doubt_is_told_of_a_single_cell(cell: str) -> None:
    (warning,) = warnings(["fine"] * 9_999 + [cell])
    assert (warning.code, warning.columns) == ("damaged_text", ("t",))
    assert warning.evidence["t"]["rows"] == [10_000]
    assert warning.evidence["t"]["sample"] == cell
    assert "in row 10,000" in warning.message


def test_what_somebody_may_have_typed_is_told_when_it_is_a_share_of_the_rows() -> None:
    assert not warnings(["fine"] * 9_999 + ["????"])
    assert not warnings(["fine"] * 9_999 + ["a?b"])
    assert not warnings(["fine"] * 9 + ["yes?no"])
    assert warnings(["fine"] * 9_990 + ["????"] * 10)
    assert warnings(["fine"] * 9 + ["????"])
    assert warnings(["fine"] * 8 + ["M?ller", "S?ren"])
    for fine in ("“MANHÃ”", "MANHÃ…", "AMANHÃ – SIM", "MAÇÃ®", "MANHÃ “ X"):
        assert not warnings(["fine"] * 50 + [fine])


def test_each_kind_of_damage_says_what_to_do_and_where() -> None:
    formula, lost = warnings(["#REF!", "#REF!", "M\ufffdller", "x"])
    assert formula.message == (
        "Text looks damaged in 2 cells of `t`, such as '#REF!' in row 1: the error of a formula in a spreadsheet: "
        "correct the formula, or map the text in value_map."
    )
    assert "1 cell of `t`, such as 'M\ufffdller' in row 3: letters that could not be decoded" in lost.message


def test_a_file_whose_encoding_was_named_wrongly_may_be_utf_8() -> None:
    (warning,) = warnings([as_cp1252("Müller")], encoding="latin-1")
    assert warning.suggestion == {"encoding": "utf-8"}
    assert warnings([as_cp1252("Müller")])[0].suggestion is None


def test_what_the_template_or_the_job_knows_is_no_damage() -> None:
    assert not warnings(["#REF!"], rules=CellRules(value_map={"t": {"#REF!": ""}}))
    row = [(1, b"r1,#N/A,x")]
    assert not damaged_text.find(row, LAYOUT, TEMPLATE, CellRules(), looked_at=1)


def test_a_file_of_windows_that_was_read_as_latin_1_is_told_with_its_encoding() -> None:
    for text in ("“quoted”", "wait…", "5 €"):
        read = text.encode("cp1252").decode("latin-1")
        (warning,) = warnings(["fine"] * 9_999 + [read], encoding="latin-1")
        assert warning.suggestion == {"encoding": "windows-1252"}
        assert warning.evidence["t"]["damage"] == "controls"
    assert not warnings(["déjà vu"] * 100, encoding="latin-1")
    (warning,) = warnings(["\x93quoted\x94"])
    assert warning.suggestion is None
