"""The rows that a preview judges: all of a file up to a bound, and stretches from all over a bigger one."""

from collections.abc import Iterator, Mapping, Sequence

import pytest

from collect.checks import row_sample
from collect.checks.duplicate_keys import SampledKeys
from collect.checks.preview import CsvPreview, preview
from collect.checks.row_sample import RowSample
from collect.csv.blocks import blocks
from collect.csv.grammar import Grammar
from collect.csv.reading import Lot
from collect.csv.validation import Valid
from collect.errors import FieldError
from collect.jobs.template import Template
from support.in_memory import MemoryBlobs

TEMPLATE = Template.model_validate(
    {"key": ["k"], "columns": [{"name": "k", "type": "string"}, {"name": "n", "type": "integer"}]}
)
GRAMMAR = Grammar(",", width=2)


def sampled(lines: Sequence[str], *, first_rows: int | None = None, block_bytes: int = 64 * 1024) -> RowSample:
    data = "".join(lines).encode()
    sample = RowSample(GRAMMAR, width=2, first_rows=first_rows)
    pieces = (data[at : at + block_bytes] for at in range(0, len(data), block_bytes))
    for block in blocks(pieces, GRAMMAR, offset=0, first_line=2, block_bytes=block_bytes):
        if block is not None:
            sample.take(block)
    return sample


def look(lines: Iterator[str]) -> tuple[CsvPreview, SampledKeys]:
    keys = SampledKeys()

    def see(lot: Lot, valid: Valid) -> Mapping[int, Sequence[FieldError]]:
        return keys.look(lot, valid)

    blobs = MemoryBlobs({"f": ("k,n\n" + "".join(lines)).encode()})
    return preview(blobs, "f", template=TEMPLATE, params={}, look=see), keys


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_all_rows_of_a_small_file_are_in_the_sample(line_end: str) -> None:
    sample = sampled([f"k{n},{n}{line_end}" for n in range(1, 50_001)])
    assert (sample.rows, sample.sampled_rows) == (50_000, 50_000)
    assert list(sample.numbered()) == [(n, f"k{n},{n}".encode()) for n in range(1, 50_001)]
    assert [number for lot in sample.lots() for number in lot.numbers] == list(range(1, 50_001))


def test_a_big_file_is_sampled_evenly_from_its_first_rows_to_its_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_sample, "MOST_ROWS", 10_000)
    monkeypatch.setattr(row_sample, "FEWEST_ROWS", 0)
    sample = sampled([f"k{n},{n}\n" for n in range(1, 100_001)])
    assert 4_000 <= sample.sampled_rows <= 10_000
    for lot in sample.lots():
        assert [lot.line(number) for number in lot.numbers] == [f"k{n},{n}" for n in lot.numbers]
    shares = [0] * 10
    for number, record in sample.numbered():
        assert record == f"k{number},{number}".encode()
        shares[(number - 1) // 10_000] += 1
    assert max(shares) < 1.7 * min(shares)


def test_long_rows_are_sampled_within_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_sample, "MOST_BYTES", 1024 * 1024)
    monkeypatch.setattr(row_sample, "STRETCH_BYTES", 32 * 1024)
    sample = sampled([f"k{n},{'x' * 10_000}\n" for n in range(1, 1_001)])
    assert sum(map(len, sample.records)) <= 1024 * 1024
    numbers = [number for number, _ in sample.numbered()]
    assert (len(numbers), numbers[0] < 10, numbers[-1] > 950) == (len(sample.records), True, True)


def test_the_first_rows_alone_are_kept_where_that_is_asked_for() -> None:
    sample = sampled([f"k{n},{n}\n" for n in range(1, 50_001)], first_rows=12_345)
    assert (sample.rows, sample.sampled_rows) == (50_000, 12_345)
    assert [number for number, _ in sample.numbered()] == list(range(1, 12_346))


def test_rows_with_text_after_a_quote_keep_their_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_sample, "STRETCH_ROWS", 3)
    lines = [f'"k\n{n}",{n}\n' if n % 2 else f'"k{n}"x,{n}\n' for n in range(1, 101)]
    (lot,) = sampled(lines).lots()
    starts = {n: 2 + sum(line.count("\n") for line in lines[: n - 1]) for n in range(1, 101)}
    assert lot.strays == {n - 1: starts[n] for n in range(2, 101, 2)}


def test_what_is_wrong_at_the_end_of_a_file_is_in_its_preview() -> None:
    seen, keys = look(f"{'k1' if n > 25_000 else f'k{n}'},{'x' if n > 29_900 else n}\n" for n in range(1, 30_001))
    assert (seen.rejects.sampled_rows, seen.rejects.rejected_rows, seen.rejects.estimate) == (30_000, 100, 100)
    (warning,) = keys.repeated(upsert=False, looked_at=seen.rejects.sampled_rows, total_rows=seen.total_rows)
    assert warning.message.startswith("4,900 of 30,000 rows have a key that stands further up")
    assert "looked at" not in warning.message


def test_the_rejects_of_a_big_file_are_estimated_wherever_they_are() -> None:
    seen, keys = look(f"k{n % 150_000},{'x' if n > 150_000 else n}\n" for n in range(1, 200_001))
    assert seen.rejects.sampled_rows < 200_000
    assert abs(seen.rejects.estimate - 50_000) < 1_000
    assert len({reject.row // 5_000 for reject in seen.rejects.items}) >= 5
    keys.add([200_001], ["k1"])
    (warning,) = keys.repeated(upsert=False, looked_at=seen.rejects.sampled_rows, total_rows=seen.total_rows)
    assert warning.message.endswith(f" {seen.rejects.sampled_rows:,} of 200,000 rows were looked at.")


def test_damaged_text_in_the_second_half_is_told() -> None:
    seen, _ = look(f"{'#REF!' if n == 40_000 else f'k{n}'},{n}\n" for n in range(1, 50_001))
    (warning,) = seen.warnings
    assert (warning.code, warning.evidence["k"]["rows"]) == ("damaged_text", [40_000])
