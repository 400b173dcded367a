"""What docs/scaling.md says of tests, modules, metrics and numbers is so."""

import re
from pathlib import Path

import pytest

from capacity import arithmetic, costs
from capacity.constants import CONSTANTS, value
from capacity.report import TABLES
from collect.observability import metrics

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
BEGIN = "<!-- capacity: {name} -->\n"
END = "\n<!-- end -->"


def quoted(pattern: str) -> list[str]:
    """What stands in backticks and is all of such a form."""
    return sorted(set(re.findall(rf"`({pattern})`", TEXT)))


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_what_the_model_makes_of_its_constants(name: str) -> None:
    begin = BEGIN.format(name=name)
    assert TEXT.count(begin) == 1
    written = TEXT.split(begin)[1].split(END)[0]
    assert written == TABLES[name](), f"make it anew: PYTHONPATH=bench python -m capacity '{name}'"


def test_there_is_no_table_that_the_model_does_not_make() -> None:
    assert set(re.findall(r"<!-- capacity: (.*) -->", TEXT)) == set(TABLES)


def test_every_test_that_is_named_is_there() -> None:
    named = quoted(r"tests/[\w/]+\.py::\w+")
    assert len(named) > 40
    missing = []
    for one in named:
        path, test = one.split("::")
        if not (ROOT / path).exists() or f"def {test}(" not in (ROOT / path).read_text(encoding="utf-8"):
            missing.append(one)
    assert missing == []


def test_every_path_that_is_named_is_there() -> None:
    named = quoted(r"(?:tests|docs|bench|shared|services|charts)/[\w./-]+")
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_module_and_what_it_is_said_to_have_is_there() -> None:
    roots = [ROOT / "shared", ROOT / "bench", *(ROOT / "services").glob("*")]
    lost = []
    for name in quoted(r"(?:collect|gateway|monitor|capacity|\w+_worker)(?:\.\w+)+"):
        steps = name.split(".")
        found = [root.joinpath(*steps[:n]).with_suffix(".py") for root in roots for n in range(len(steps), 1, -1)]
        module = next((path for path in found if path.exists()), None)
        rest = steps[-1]
        if module is None or (
            module.stem != rest and not re.search(rf"\b{rest}\b", module.read_text(encoding="utf-8"))
        ):
            lost.append(name)
    assert lost == []


def test_every_metric_that_is_named_is_one() -> None:
    listed = {
        line.split("`")[1] for line in (ROOT / "docs" / "observability.md").read_text().splitlines() if "| `c" in line
    }
    assert metrics
    assert [name for name in quoted(r"collect_\w+") if name not in listed] == []


def test_every_constant_that_is_named_is_one() -> None:
    known = {*CONSTANTS, *(name for name in vars(costs) if name.isupper())}
    named = quoted(r"(?:UPLOAD|UPSERT|EXPORT|JOB|SLICE|SLOT|WORKER|HUNGRY|LOOK)_[A-Z_]+")
    assert named
    assert [name for name in named if name not in known] == []


def test_numbers_that_are_said_to_be_constants_equal_them() -> None:
    said = re.findall(r"([\d.,]+) \S+ \(`([A-Z_]+)`\)", TEXT)
    assert len(said) > 5
    assert [(shown, name) for shown, name in said if float(shown.replace(",", "")) != value(name)] == []


def test_a_day_s_rows_are_those_of_the_examples() -> None:
    assert (arithmetic.DESK.written, arithmetic.PIPELINE.read, arithmetic.CENSUS.written) == (20e6, 2e9, 50e6)
