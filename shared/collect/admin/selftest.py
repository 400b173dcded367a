"""`collect-admin selftest`: a wrong upload started, taken back and put right on the running system, then undone.

All of it happens in an organisation of its own, and each run has a dataset and a key of its own there, so that several
may run at the same time. The key bears the dataset's name: a dataset without a valid key is of a run that broke off.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click
from pymongo.errors import PyMongoError
from ulid import ULID

from collect.admin import check as invariants
from collect.admin.connection import Admin, json_option, pass_admin
from collect.client import CollectClient, Job, NotAuthenticated, Patience
from collect.demo import baseline
from collect.demo.baseline import COLUMNS, Survey, blocks, save_csv
from collect.errors import CollectError
from collect.jobs.states import State
from collect.storage import api_keys, datasets, files, organisations
from collect.storage.database import Document, transact

T = TypeVar("T")

ORG = "selftest"
PREFIX = "selftest-"
EXCHANGED = ("district", "block")
SUGGESTION = {"column_map": {"district": "block", "block": "district"}}
RUN_SECONDS = 8.0
"""How long the wrong file would take: long enough to be terminated half-way."""
FEWEST_ROWS = 200
"""In fewer rows of the survey too few districts show several blocks for the preview to be sure."""
MOST_ROWS = 1_000_000
ROWS_AT_ONCE = 5_000
LOOK_SECONDS = 0.1
RETRY_SECONDS = 15.0
KEY_STEPS = 20
"""A key outlives its run, whose steps are fewer, and ends by itself if nobody is left to revoke it."""
KEPT_DAYS = 1
REASON = "Self-test"


class NotSo(CollectError):
    """What was looked for is not so."""


class StepFailed(CollectError):
    """A step of the run. The detail names it, what was wrong, and how its jobs were then."""


@dataclass(frozen=True, slots=True)
class Step:
    """What was done, and how it went."""

    step: str
    passed: bool
    seconds: float
    message: str = ""


@click.command()
@click.option("--rows", default=10_000, show_default=True, type=click.IntRange(FEWEST_ROWS, MOST_ROWS))
@click.option("--url", envvar="COLLECT_URL", required=True, show_envvar=True, help="Where the gateway answers.")
@click.option(
    "--seconds", default=120.0, show_default=True, type=click.FloatRange(min=1), help="How long one step may take."
)
@json_option
@pass_admin
def selftest(admin: Admin, rows: int, url: str, seconds: float) -> int:
    """Have the running system do a small story, and look into the stores whether it is so.

    A file with two columns exchanged is previewed, started, terminated, started again as the preview suggests, and
    undone, in the organisation `selftest`; then the invariants of that organisation's jobs are verified. Exit code 1,
    with the step and what was wrong, if not. May run several times at once.
    """
    name = f"{PREFIX}{ULID()}".lower()
    patience = Patience(read_seconds=min(60.0, seconds), retry_seconds=min(RETRY_SECONDS, seconds))
    with _key(admin, name, seconds) as secret, CollectClient(url=url, api_key=secret, patience=patience) as client:
        run = SelfTest(client=client, admin=admin, name=name, rows=rows, seconds=seconds)
        try:
            run.play()
            failure = None
        except StepFailed as error:
            failure = error
        finally:
            left = run.clean_up()
    admin.answer([asdict(step) for step in run.steps], left if failure else [*left, "Passed."])
    if failure is not None:
        click.echo(f"Error: {failure}", err=True)
    return 1 if failure else 0


class SelfTest:
    """One run in the dataset ``name``, which must not be there yet. ``steps``: what was done so far."""

    def __init__(self, *, client: CollectClient, admin: Admin, name: str, rows: int, seconds: float) -> None:
        self.steps: list[Step] = []
        self._client = client
        self._admin = admin
        self._db = admin.db
        self._name = name
        self._rows = rows
        self._seconds = seconds
        self._deadline = 0.0

    def play(self) -> None:
        """All but the cleaning up.

        Raises:
            StepFailed: at the first thing that is not so.
        """
        self._step("gateway answers, dataset made", self._begin)
        file_id = self._step("file sent, all its bytes are stored", self._send)
        params = {"file_id": file_id, "dataset": self._name}
        suggestion = self._step("preview warns of exchanged columns", partial(self._preview, params))
        wrong = self._step("started all the same, rows are written", partial(self._start, params))
        self._step("terminated half-way, not one row is left", partial(self._terminate, wrong))
        right = self._step("restarted as suggested, every row is right", partial(self._restart, wrong, suggestion))
        self._step("undone, not one row is left", partial(self._undo, right))
        self._step("invariants hold", self._invariants)

    def clean_up(self) -> list[str]:
        """Take back what this run has left, and what runs did that broke off; says what stays. Never raises."""
        try:
            self._step("cleaned up", partial(self._take_back, self._name))
        except StepFailed as error:
            return [f"Left behind, for a later run to take back: dataset {self._name}. {error}"]
        kept: list[str] = []
        try:
            if jobs := [job_id for job_id, _ in self._states(self._name)]:
                kept.append(f"What stays for some time: the history of jobs {', '.join(jobs)}, and their file.")
            for name in self._broken_off():
                self._step(f"cleaned up {name}, whose run broke off", partial(self._take_back, name))
        except (StepFailed, PyMongoError) as error:
            kept.append(f"Not taken back yet, from a run that broke off: {error}")
        return kept

    def _step(self, name: str, act: Callable[[], T]) -> T:
        """Do it, and tell how it went and how long it took."""
        began = time.monotonic()
        self._deadline = began + self._seconds
        try:
            found = act()
        except (CollectError, PyMongoError, OSError) as error:
            message = " ".join([str(error) or type(error).__name__, *self._jobs_told()])
            self._tell(Step(name, False, round(time.monotonic() - began, 3), message))
            raise StepFailed(f"Step {name!r} failed. {message}") from error
        self._tell(Step(name, True, round(time.monotonic() - began, 3)))
        return found

    def _tell(self, step: Step) -> None:
        self.steps.append(step)
        word = "ok    " if step.passed else "FAILED"
        click.echo(f"{word} {step.seconds:6.1f} s  {step.step}", err=self._admin.machine)

    def _begin(self) -> None:
        limits = {"confirm_threshold_rows": MOST_ROWS + 1, "undo_days": KEPT_DAYS, "retention_days": KEPT_DAYS}
        organisations.ensure(self._db, org_id=ORG, name=REASON, limits=limits)
        try:
            next(self._client.jobs.list(most=1), None)
        except NotAuthenticated as error:
            raise NotSo(
                f"The gateway at {self._client.url} does not know a key that has just been made: is its database the "
                "one that MONGODB_URL and MONGODB_DATABASE name?"
            ) from error
        template = baseline.template()
        transact(self._db, lambda tx: datasets.put(tx, org_id=ORG, name=self._name, template=template))

    def _send(self) -> str:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "selftest.csv"
            save_csv(Survey(rows=self._rows, swap=EXCHANGED), path)
            sent, size = self._client.files.upload(path), path.stat().st_size
        stored = self._admin.blobs.size(files.get(self._db, org_id=ORG, file_id=sent.id).blob)
        if stored != size:
            raise NotSo(f"The file has {size:,} bytes; {stored:,} are stored.")
        return sent.id

    def _preview(self, params: dict[str, Any]) -> dict[str, Any]:
        warnings = self._client.jobs.preview("upload", params).warnings
        suggestions = [warning.suggestion for warning in warnings if warning.code == "columns_swapped"]
        if suggestions != [SUGGESTION]:
            raise NotSo(f"The preview should suggest {SUGGESTION}; it suggests {suggestions}.")
        return SUGGESTION

    def _start(self, params: dict[str, Any]) -> Job:
        rate = self._rows / RUN_SECONDS
        job = self._client.jobs.create("upload", params, reason=REASON, max_rows_per_second=rate)
        while not (written := self._count()):
            if self._client.jobs.get(job.id).rests or not self._left():
                raise NotSo(f"Job {job.id} should write rows; after {self._seconds:g} s at most, there are none.")
            time.sleep(LOOK_SECONDS)
        if written >= self._rows:
            raise NotSo(f"Job {job.id} should be held back to {rate:,.0f} rows a second; it wrote all at once.")
        return job

    def _terminate(self, job: Job) -> None:
        self._client.jobs.terminate(job.id, reason=REASON)
        self._rests(job, State.TERMINATED)
        self._is_empty()

    def _restart(self, wrong: Job, suggestion: dict[str, Any]) -> Job:
        job = self._client.jobs.restart(wrong.id, reason=REASON, params=suggestion)
        self._rests(job, State.SUCCEEDED)
        if (counted := self._count()) != self._rows:
            raise NotSo(f"The file has {self._rows:,} rows; {counted:,} are in MongoDB.")
        self._is_right()
        return job

    def _undo(self, job: Job) -> None:
        self._client.jobs.undo(job.id, reason=REASON)
        self._rests(job, State.UNDONE)
        self._is_empty()

    def _invariants(self) -> None:
        if findings := invariants.check_jobs(self._db, org_id=ORG):
            raise NotSo(f"Not all invariants hold: {'; '.join(str(found) for found in findings)}")

    def _take_back(self, name: str) -> None:
        """End the jobs in the dataset, undo what they wrote, and remove the dataset."""
        for job_id, _ in self._states(name):
            job = self._client.jobs.get(job_id)
            if "terminate" in job.allowed_verbs:
                self._client.jobs.terminate(job_id, reason=REASON)
            elif "undo" in job.allowed_verbs:
                self._client.jobs.undo(job_id, reason=REASON)
            self._client.jobs.wait(job_id, "rest", timeout_seconds=self._left())
        transact(self._db, lambda tx: datasets.remove(tx, org_id=ORG, name=name))

    def _broken_off(self) -> list[str]:
        """Datasets without a valid key; a run makes its key before its dataset, and revokes it behind it."""
        there = [name for name in datasets.names(self._db, org_id=ORG) if name.startswith(PREFIX)]
        valid = {"org_id": ORG, "revoked_at": None, "expires_at": {"$not": {"$lte": datetime.now(UTC)}}}
        at_work = {key["name"] for key in self._db.api_keys.find(valid, {"name": 1})}
        return [name for name in there if name not in at_work]

    def _rests(self, job: Job, state: State) -> None:
        seen = self._client.jobs.wait(job.id, "rest", timeout_seconds=self._left())
        if seen.state is not state:
            raise NotSo(f"Job {job.id} should be {state.value}; it is {seen.state.value}.")

    def _jobs_told(self) -> Iterator[str]:
        """How the jobs of the run are, as the gateway says, or, where that does not answer, the database."""
        try:
            for job_id, state in self._states(self._name):
                try:
                    seen = self._client.jobs.get(job_id)
                except CollectError:
                    yield f"Job {job_id}: {state}, says the database."
                else:
                    yield f"Job {job_id}: {seen.state.value}, waiting_for {seen.waiting_for or 'no job'}. {seen.status}"
        except PyMongoError:
            yield "The database does not say how the jobs are."

    def _states(self, name: str) -> list[tuple[str, str]]:
        """The jobs in the dataset, newest first: id and state."""
        found = self._db.jobs.find({"org_id": ORG, "params.dataset": name}, {"state": 1}).sort("_id", -1)
        return [(job["_id"], job["state"]) for job in found]

    def _left(self) -> float:
        """Seconds that the step still has."""
        return max(0.0, self._deadline - time.monotonic())

    def _count(self) -> int:
        return datasets.row_count(self._db, org_id=ORG, name=self._name)

    def _is_empty(self) -> None:
        if counted := self._count():
            raise NotSo(f"{counted:,} rows are left in dataset {self._name}, of which there should be none.")

    def _is_right(self) -> None:
        """Whether district and block of every stored row stand where the right file has them."""
        for found, row in zip(self._stored(), _rows(Survey(rows=self._rows)), strict=True):
            if any(found["values"].get(name) != row[name] for name in (*EXCHANGED, "respondent_id")):
                raise NotSo(f"Row {row['respondent_id']} is not what the file says.")

    def _stored(self) -> Iterator[Document]:
        after: str | None = None
        while True:
            rows, after = datasets.rows(self._db, org_id=ORG, name=self._name, limit=ROWS_AT_ONCE, after=after)
            yield from rows
            if after is None:
                return


@contextmanager
def _key(admin: Admin, name: str, seconds: float) -> Iterator[str]:
    """A key for as long as the run lasts."""
    expires_at = datetime.now(UTC) + timedelta(seconds=KEY_STEPS * seconds)
    made = api_keys.create(admin.db, org_id=ORG, name=name, role="operator", expires_at=expires_at)
    try:
        yield made.secret
    finally:
        api_keys.revoke(admin.db, org_id=ORG, key_id=made.key.id)


def _rows(survey: Survey) -> Iterator[dict[str, str]]:
    for block in blocks(survey):
        for row in block:
            yield dict(zip(COLUMNS, row, strict=True))
