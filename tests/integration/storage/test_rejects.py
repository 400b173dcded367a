"""How many rejects of a job are stored: all, until there are very many."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collect.errors import FieldError
from collect.jobs.model import Job
from collect.jobs.outcomes import Reject
from collect.storage import rejects
from collect.storage.database import Database
from support.upload_driver import new_job

MOST = 7


def reject(row: int, *, errors: int = 1) -> Reject:
    return Reject(row=row, line=f"line {row}", errors=tuple(FieldError(f"c{n}", "bad", "Bad.") for n in range(errors)))


def store(db: Database, job: Job, *rows: int, before: int = 0) -> None:
    with db.client.start_session() as session, session.start_transaction():
        wrong = [reject(row) for row in rows]
        rejects.store(db, job=job, rejects=wrong, session=session, before=before, most=MOST)


def stored(db: Database, job: Job) -> list[int]:
    return [found["row"] for found in rejects.stream(db, org_id=job.org_id, job_id=job.id)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chunks=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=8))
def test_all_are_stored_until_there_are_very_many_whatever_the_chunks_and_parts(
    db: Database, chunks: list[tuple[int, int]]
) -> None:
    """Each chunk is of a part, whose rows have numbers of their own; the first rows of a chunk are stored first."""
    job = new_job(blob="f", dataset="d")
    rejected = [0, 0, 0]
    expected: list[int] = []
    for part, number in chunks:
        rows = [part * 1_000 + rejected[part] + n for n in range(1, number + 1)]
        store(db, job, *reversed(rows), before=rejected[part])
        rejected[part] += number
        expected.extend(rows)
    assert stored(db, job) == sorted(expected[:MOST])
    assert rejects.count(db, job_id=job.id) == min(sum(rejected), MOST)


def test_those_of_another_job_do_not_count(db: Database) -> None:
    first, second = (new_job(blob="f", dataset="d") for _ in range(2))
    store(db, first, *range(1, 20))
    store(db, second, 5)
    assert (stored(db, first), stored(db, second)) == ([1, 2, 3, 4, 5, 6, 7], [5])


def test_two_chunks_that_commit_at_the_same_time_may_store_more_and_lose_none(db: Database) -> None:
    job = new_job(blob="f", dataset="d")
    store(db, job, 1, 2, 3, 4, 5)
    with db.client.start_session() as one, db.client.start_session() as other:
        one.start_transaction()
        other.start_transaction()
        for session, rows in ((one, (10, 11, 12)), (other, (20, 21, 22))):
            rejects.store(db, job=job, rejects=map(reject, rows), session=session, most=MOST)
        one.commit_transaction()
        other.commit_transaction()
    assert stored(db, job) == [1, 2, 3, 4, 5, 10, 11, 20, 21]
    store(db, job, 30)
    assert len(stored(db, job)) == 9


def test_of_a_row_in_which_everything_is_wrong_the_first_errors_are_stored(db: Database) -> None:
    job = new_job(blob="f", dataset="d")
    with db.client.start_session() as session, session.start_transaction():
        rejects.store(db, job=job, rejects=[reject(1, errors=500)], session=session)
    (found,) = rejects.stream(db, org_id=job.org_id, job_id=job.id)
    assert [error["field"] for error in found["errors"]] == [f"c{n}" for n in range(rejects.MOST_ERRORS)]


def test_the_most_frequent_error_is_told_with_how_many_were_looked_at(db: Database) -> None:
    job = new_job(blob="f", dataset="d")
    odd = [Reject(row=row, line="", errors=(FieldError("d", "not_a_date", f"d{row}"),)) for row in (9, 4, 6)]
    with db.client.start_session() as session, session.start_transaction():
        rejects.store(db, job=job, rejects=[*odd, reject(1), reject(2)], session=session)
    assert rejects.most_frequent(db, job_id=job.id) == {
        "field": "d", "code": "not_a_date", "count": 3, "row": 4, "message": "d4", "stored": 5,
    }  # fmt: skip
    assert rejects.most_frequent(db, job_id="nobody") is None
