"""A file of which every row is bad: its rejects are counted to the last, and a bounded number of them is stored."""

import os
import subprocess
import sys

from collect.storage.rejects import MOST_STORED
from integration.files.desk import Desk

BAD = 100_000
GOOD = 10


def text() -> bytes:
    lines = [f"bad-{row:06},one,{'x' * 30}\n" for row in range(BAD)]
    return ("k,n,s\n" + "".join(lines) + "".join(f"good-{row},1,x\n" for row in range(GOOD))).encode()


def collect(desk: Desk, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line, as somebody at a shell has it."""
    environment = {**os.environ, "COLLECT_URL": desk.url, "COLLECT_API_KEY": desk.token}
    command = [sys.executable, "-c", "from collect.client.cli import main; main()", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)


def test_a_hundred_thousand_bad_rows_are_counted_and_some_of_them_stored(desk: Desk) -> None:
    dataset = desk.new_dataset()
    file_id = desk.send(text())
    before = desk.db.rows.count_documents({})
    outcome = desk.outcome(desk.start(file_id, dataset))
    job = outcome.job
    assert outcome.state == "succeeded"
    assert (job.progress.total, job.progress.rejected, job.progress.succeeded) == (BAD + GOOD, BAD, GOOD)
    assert set(outcome.rows) == {f"good-{row}" for row in range(GOOD)}
    entries = desk.db.ledger.find({"job_id": job.id}, {"counts": 1})
    assert sum(entry["counts"]["rejected"] for entry in entries) == BAD

    stored = len(outcome.rejects)
    assert MOST_STORED <= stored < BAD / 2
    told = desk.client.jobs.rejects_stored(job.id)
    assert (told.rejected, told.stored) == (BAD, stored)
    for reject in outcome.rejects:
        assert reject.line == f"bad-{reject.row - 1:06},one,{'x' * 30}"

    _, *rows, last = desk.rejects_csv(job.id)
    assert [int(row[3]) for row in rows] == [reject.row for reject in outcome.rejects]
    more = f"{BAD - stored:,} more rows were rejected. They are counted, and not stored."
    assert last == ["", "", "", "", "more_not_stored", "", more]
    said = collect(desk, "jobs", "rejects", job.id, "-o", str(desk.folder / "many.csv")).stderr
    assert f"100,000 rows were rejected; {stored:,} of them are stored" in said

    desk.client.jobs.undo(job.id, reason="a test", wait_seconds=30)
    undone = desk.client.jobs.wait(job.id, "undone")
    assert undone.progress.undone == GOOD
    assert desk.db.rows.count_documents({}) == before

    again = desk.client.jobs.wait(desk.client.jobs.restart(job.id, reason="a test").id)
    assert (again.progress.rejected, again.progress.succeeded) == (BAD, GOOD)
    assert desk.client.jobs.rejects_stored(again.id).stored >= MOST_STORED


def test_the_reason_for_a_pause_says_when_it_knows_of_some_rejects_only(desk: Desk) -> None:
    outcome = desk.run(text(), max_rejected={"rows": 40_000})
    assert (outcome.state, outcome.code) == ("paused", "rejections_over_limit")
    assert outcome.job.reason is not None
    hint = str(outcome.job.reason.hint)
    assert "n: not_an_integer (" in hint
    assert f"times among the {len(outcome.rejects):,} that are stored" in hint
    stored = desk.client.jobs.rejects_stored(outcome.job.id)
    assert stored.rejected == outcome.job.progress.rejected > stored.stored >= MOST_STORED
