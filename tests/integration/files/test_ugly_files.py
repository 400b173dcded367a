"""Ugly files through the API: what the preview, the job and its rejects say of each."""

from integration.files.desk import Desk
from support.ugly_files import FILES, Ugly


def test_every_ugly_file_is_read_or_refused_as_its_preview_says(desk: Desk) -> None:
    """All jobs are started before the first is looked at, so that they run beside each other."""
    datasets = {ugly.name: desk.new_dataset() for ugly in FILES}
    sent = {ugly.name: desk.send(ugly.data) for ugly in FILES}
    jobs = {ugly.name: desk.start(sent[ugly.name], datasets[ugly.name], **ugly.params) for ugly in FILES}
    wrong = {}
    for ugly in FILES:
        params = {"file_id": sent[ugly.name], "dataset": datasets[ugly.name], **ugly.params}
        seen = previewed(desk, params)
        became = job(desk, jobs[ugly.name], ugly)
        if (seen, became) != (expected_preview(ugly), expected_job(ugly)):
            wrong[ugly.name] = (seen, became)
    assert wrong == {}


def previewed(desk: Desk, params: dict[str, object]) -> tuple[object, ...]:
    seen = desk.client.jobs.preview("upload", params)
    codes = {warning.code for warning in seen.warnings}
    if not seen.ok:
        return (seen.errors[0].code,)
    return seen.total_rows, seen.blank_rows, "quoted_lines" in codes, "blank_rows" in codes


def expected_preview(ugly: Ugly) -> tuple[object, ...]:
    if ugly.refusal is not None:
        return (ugly.refusal,)
    return len(ugly.rows) + len(ugly.rejects), ugly.blank, ugly.warns, ugly.blank > 0


def job(desk: Desk, job_id: str, ugly: Ugly) -> tuple[object, ...]:
    outcome = desk.outcome(job_id)
    if ugly.refusal is not None:
        unsaid = [words for words in ugly.says if words not in outcome.sentence]
        return outcome.state, outcome.code, outcome.rows, unsaid
    rows = {key: (values["n"], values["s"]) for key, values in outcome.rows.items()}
    codes = {row: code for row, (_, code, _) in outcome.rejected.items()}
    return outcome.state, rows, codes, outcome.job.progress.blank_rows


def expected_job(ugly: Ugly) -> tuple[object, ...]:
    if ugly.refusal is not None:
        return "failed", ugly.refusal, {}, []
    return "succeeded", dict(ugly.rows), dict(ugly.rejects), ugly.blank


def test_a_row_with_text_after_a_quote_that_comes_back_unchanged_is_written_as_it_was_shown(desk: Desk) -> None:
    outcome = desk.run(b'k,n,s\na,1,"say "hi" now"\n,,\n"b"c,2,y\n')
    assert outcome.rejected == {
        1: ("", "text_after_quote", 'a,1,"say "hi" now"'),
        2: ("", "text_after_quote", '"b"c,2,y'),
    }
    assert "is closed in line 2, and 'hi\" now\"' follows" in outcome.said[1]
    assert "row 2, column 1, before 'b\"c,2,y', is closed in line 4, and 'c,2,y' follows" in outcome.said[2]
    path = desk.folder / "rejects.csv"
    desk.client.jobs.save_rejects(outcome.job.id, path)
    desk.client.jobs.correct(outcome.job.id, path=path, reason="it is right as it is shown")
    corrected = desk.outcome(outcome.job.id)
    assert corrected.rows == {"a": {"k": "a", "n": 1, "s": 'say "hi" now'}, "bc": {"k": "bc", "n": 2, "s": "y"}}
    assert (corrected.state, corrected.rejects) == ("succeeded", [])
