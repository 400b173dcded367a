"""The same key twice: within a chunk, in another chunk, in another part, in another job at the same time."""

import csv
import io
import random
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from collect.client.errors import ApiError
from integration.files.desk import ANY_NUMBER, Desk

FIRST_OF = "; the first row of a file with a key counts."
FAR = 30_000
PAD = "x" * 170


def text(*rows: str) -> bytes:
    return ("k,n,s\n" + "\n".join(rows) + "\n").encode()


def test_within_a_chunk_the_first_row_counts_and_the_others_name_it(desk: Desk) -> None:
    outcome = desk.run(text("a,1,first", "b,2,x", "a,3,second", "a,4,third"))
    assert (outcome.state, outcome.numbers) == ("succeeded", {"a": 1, "b": 2})
    assert outcome.rows["a"] == {"k": "a", "n": 1, "s": "first"}
    assert outcome.rejected == {3: ("k", "duplicate_key", "a,3,second"), 4: ("k", "duplicate_key", "a,4,third")}
    assert outcome.said == dict.fromkeys((3, 4), f"k 'a' is that of row 1{FIRST_OF}")


def test_in_an_upsert_the_last_row_counts(desk: Desk) -> None:
    outcome = desk.run(text("a,1,first", "b,2,x", "a,3,last"), mode="upsert")
    assert (outcome.state, outcome.rejects, outcome.job.progress.succeeded) == ("succeeded", [], 3)
    assert outcome.rows["a"] == {"k": "a", "n": 3, "s": "last"}


@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_across_chunks_and_parts_the_outcome_is_that_of_reading_downwards(desk: Desk, mode: str) -> None:
    """Over 5 MiB, so that parts of it run side by side; each key of the beginning comes again at the end."""
    rows = [f"k{row},{row},{PAD}" for row in range(1, FAR + 1)]
    rows += [f"k{row},0,again" for row in range(1, 51)]
    outcome = desk.run(text(*rows), mode=mode)
    assert len(list(desk.client.jobs.parts(outcome.job.id))) > 2
    assert (outcome.state, len(outcome.rows), outcome.job.progress.total) == ("succeeded", FAR, FAR + 50)
    if mode == "upsert":
        assert outcome.rejects == []
        assert {outcome.numbers[f"k{row}"] for row in range(1, 51)} == set(range(FAR + 1, FAR + 51))
        return
    assert outcome.numbers == {f"k{row}": row for row in range(1, FAR + 1)}
    assert outcome.rejected == {FAR + row: ("k", "duplicate_key", f"k{row},0,again") for row in range(1, 51)}
    assert outcome.said == {FAR + row: f"k 'k{row}' is that of row {row:,}{FIRST_OF}" for row in range(1, 51)}


def test_across_jobs_at_once_each_key_is_written_once(desk: Desk) -> None:
    """The dataset has one writer at a time: the jobs stand in line, and the later ones find the keys there."""
    dataset = desk.new_dataset()
    file_id = desk.send(text(*(f"k{row},{row},x" for row in range(500))))

    def start(_: int) -> str:
        return desk.start(file_id, dataset, on_conflict="queue")

    with ThreadPoolExecutor(4) as threads:
        jobs = list(threads.map(start, range(4)))
    outcomes = [desk.client.jobs.wait(job, timeout_seconds=90) for job in jobs]
    assert sorted(job.progress.succeeded for job in outcomes) == [0, 0, 0, 500]
    assert [job.progress.done for job in outcomes] == [500] * 4
    assert desk.db.rows.count_documents({"dataset": dataset}) == 500
    loser = next(job for job in outcomes if not job.progress.succeeded)
    reject = next(iter(desk.client.jobs.rejects(loser.id)))
    assert (reject.row, reject.code, reject.line) == (1, "duplicate_key", "k0,0,x")
    assert reject.message == "k 'k0' is there already."


def test_a_job_on_a_dataset_that_is_held_is_refused_and_told_by_whom(desk: Desk) -> None:
    dataset = desk.new_dataset()
    file_id = desk.send(text("a,1,x"))
    holder = desk.start(file_id, dataset)
    desk.client.jobs.wait(holder)
    held = desk.client.jobs.create(
        "upload", {"file_id": desk.send(text(*(f"b{n},{n},x" for n in range(9)))), "dataset": dataset,
                   "max_rejected": ANY_NUMBER}, max_rows_per_second=1,
    )  # fmt: skip
    with pytest.raises(ApiError) as refused:
        desk.start(file_id, dataset)
    assert refused.value.problem.holder == held.id
    desk.client.jobs.stop(held.id, reason="a test")


def test_keys_that_are_spelt_otherwise_are_other_keys_and_equal_values_are_the_same(desk: Desk) -> None:
    spaced, marked, escaped = ["a", "A", " a", "a "], ["\u00e9", "e\u0301", "a\u200b"], ["a|b", "a\\|b", "0", "00"]
    keys = [*spaced, *marked, *escaped, "$set", "a.b", "_id", "__proto__", "=1"]
    held = io.StringIO()
    csv.writer(held, lineterminator="\n").writerows([["k", "n"], *([key, place] for place, key in enumerate(keys))])
    outcome = desk.run(held.getvalue().encode())
    assert (outcome.state, outcome.rejects) == ("succeeded", [])
    assert {key: row["n"] for key, row in outcome.rows.items()} == {key: place for place, key in enumerate(keys)}
    columns: list[dict[str, Any]] = [{"name": "i", "type": "integer"}, {"name": "d", "type": "date"}]
    same = desk.run(b"i,d\n7,2017-05-31\n+07,2017-05-31\n7,2017-06-01\n", dataset=desk.new_dataset(columns, key="id"))
    assert set(same.numbers.values()) == {1, 3}
    assert same.said == {2: f"i, d '7|2017-05-31' is that of row 1{FIRST_OF}"}


def test_a_key_that_shows_nothing_is_no_key(desk: Desk) -> None:
    outcome = desk.run("k,n\na,1\n\u200b,2\n\u00a0 ,3\n\t,4\n\ufeff\u2060,5\n".encode())
    assert (outcome.state, set(outcome.rows)) == ("succeeded", {"a"})
    assert {row: code for row, (_, code, _) in outcome.rejected.items()} == dict.fromkeys(range(2, 6), "required")


def test_the_columns_of_a_composite_key_do_not_run_into_each_other(desk: Desk) -> None:
    columns = [{"name": name, "type": "string"} for name in ("a", "b")]
    outcome = desk.run(b"a,b\nx|,y\nx,|y\nx\\,|y\nx,y\n", dataset=desk.new_dataset(columns, key="ab"))
    assert (outcome.state, len(outcome.rows)) == ("succeeded", 4)


def test_a_document_over_the_limit_is_refused_with_its_row_and_nothing_half_done(desk: Desk) -> None:
    """An upsert merges two rows of nearly 8 MiB each into one document, which the database could not hold."""
    names = [f"s{n}" for n in range(16)]
    columns = [{"name": name, "type": "string"} for name in ("k", *names)]
    dataset = desk.new_dataset(columns)
    cell = "x" * (1024 * 1024 - 1_000)

    def half(key: str, some: list[str]) -> bytes:
        return (",".join(["k", *some]) + "\n" + ",".join([key] + [cell] * len(some)) + "\n").encode()

    first = desk.run(half("a", names[:7]), dataset=dataset, mode="upsert")
    assert (first.state, len(first.rows["a"])) == ("succeeded", 8)
    before = desk.db.rows.find_one({"dataset": dataset})
    second = desk.run(half("a", names[7:14]), dataset=dataset, mode="upsert")
    assert (second.state, len(second.rows["a"])) == ("succeeded", 15)
    third = desk.run(half("a", names[14:]), dataset=dataset, mode="upsert")
    assert (third.state, third.code) == ("failed", "document_too_large")
    assert "(row 1)" in third.sentence
    assert "at most 15,728,640 can be stored. Leave out a column" in third.sentence
    for job in (third.job.id, second.job.id):
        desk.client.jobs.undo(job, reason="a test", wait_seconds=60)
        desk.client.jobs.wait(job, "undone", timeout_seconds=60)
    assert desk.db.rows.find_one({"dataset": dataset}) == before


def test_few_columns_over_big_documents_go_in_smaller_chunks_and_are_taken_back_exactly(desk: Desk) -> None:
    """Three hundred documents of 100 KB are more than one chunk may keep for an undo."""
    columns = [{"name": name, "type": "string"} for name in ("k", "text", "s")]
    dataset = desk.new_dataset(columns)
    texts = {f"{n:03}": random.Random(n).randbytes(50_000).hex() for n in range(300)}
    first = desk.run(lines("k,text", texts.items()), dataset=dataset, mode="upsert")
    assert (first.state, len(first.rows)) == ("succeeded", 300)
    before = list(desk.db.rows.find({"dataset": dataset}).sort("_id"))
    second = desk.run(lines("k,s", ((k, "new") for k in texts)), dataset=dataset, mode="upsert")
    assert second.state == "succeeded", second.sentence
    assert second.rows == {k: {"k": k, "text": text, "s": "new"} for k, text in texts.items()}
    assert desk.db.ledger.count_documents({"job_id": second.job.id}) > 1
    desk.client.jobs.undo(second.job.id, reason="a test", wait_seconds=60)
    desk.client.jobs.wait(second.job.id, "undone", timeout_seconds=60)
    assert list(desk.db.rows.find({"dataset": dataset}).sort("_id")) == before


def lines(header: str, rows: Iterable[tuple[str, str]]) -> bytes:
    return "".join(f"{line}\n" for line in [header, *map(",".join, rows)]).encode()
