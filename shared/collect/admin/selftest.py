"""`collect-admin selftest`: start a wrong upload on the running system, terminate it, correct it, and undo it.

The test has an organisation of its own. Each run has its own dataset and key there, so several runs can go on at the
same time. The key has the dataset's name: a dataset without a valid key belongs to a run that broke off.
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
"""How long the wrong file would take. It must be long enough to terminate the job half-way."""
FEWEST_ROWS = 200
"""Fewest rows of the test file. With fewer, the preview sees too few blocks in a district to be sure."""
MOST_ROWS = 1_000_000
ROWS_AT_ONCE = 5_000
LOOK_SECONDS = 0.1
RETRY_SECONDS = 15.0
KEY_STEPS = 20
"""A key is valid for this many steps. A run has fewer, and the key of a killed run expires by itself."""
KEPT_DAYS = 1
REASON = "Self-test"


class CheckFailed(CollectError):
    """A check of a step failed."""


class StepFailed(CollectError):
    """A step of the run failed. The detail names the step, what was wrong, and the states of its jobs."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the run and its outcome."""

    step: str
    passed: bool
    seconds: float
    message: str = ""


@click.command()
@click.option("--rows", default=10_000, show_default=True, type=click.IntRange(FEWEST_ROWS, MOST_ROWS))
@click.option("--url", envvar="COLLECT_URL", required=True, show_envvar=True, help="Address of the gateway.")
@click.option(
    "--seconds", default=120.0, show_default=True, type=click.FloatRange(min=1), help="Longest time of one step."
)
@json_option
@pass_admin
def selftest(admin: Admin, rows: int, url: str, seconds: float) -> int:
    """Run a small upload through the system, and verify the result in the stores.

    The test works in the organisation `selftest`. It previews and starts a file with two exchanged columns, terminates
    the job, restarts it as the preview suggests, and undoes it. Then it verifies the invariants of the organisation's
    jobs. Exit code 1 if a step fails; the step and the reason are printed. Several runs at once are safe.
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
    """One run in the dataset ``name``, which must not exist yet. ``steps``: the steps so far."""

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
        """Run all steps except the clean-up.

        Raises:
            StepFailed: a step failed. Later steps are not run.
        """
        self._step("gateway answers, dataset created", self._begin)
        file_id = self._step("file uploaded, all its bytes are stored", self._send)
        params = {"file_id": file_id, "dataset": self._name}
        suggestion = self._step("preview warns of exchanged columns", partial(self._preview, params))
        wrong = self._step("started in spite of the warning, rows are written", partial(self._start, params))
        self._step("terminated half-way, no row is left", partial(self._terminate, wrong))
        right = self._step("restarted as suggested, every row is right", partial(self._restart, wrong, suggestion))
        self._step("undone, no row is left", partial(self._undo, right))
        self._step("invariants hold", self._invariants)

    def clean_up(self) -> list[str]:
        """Take back what this run and broken-off runs have left. Return messages about what stays. Never raises."""
        try:
            self._step("cleaned up", partial(self._take_back, self._name))
        except StepFailed as error:
            return [f"Dataset {self._name} could not be removed; a later run removes it. {error}"]
        kept: list[str] = []
        try:
            if jobs := [job_id for job_id, _ in self._states(self._name)]:
                kept.append(f"The history of jobs {', '.join(jobs)} and their file stay until their retention ends.")
            for name in self._broken_off():
                self._step(f"cleaned up {name}, whose run broke off", partial(self._take_back, name))
        except (StepFailed, PyMongoError) as error:
            kept.append(f"What a broken-off run has left could not be removed: {error}")
        return kept

    def _step(self, name: str, act: Callable[[], T]) -> T:
        """Call ``act``, print the outcome and the time, and return its value."""
        began = time.monotonic()
        self._deadline = began + self._seconds
        try:
            value = act()
        except (CollectError, PyMongoError, OSError) as error:
            message = " ".join([str(error) or type(error).__name__, *self._job_states()])
            self._report(Step(name, False, round(time.monotonic() - began, 3), message))
            raise StepFailed(f"Step {name!r} failed. {message}") from error
        self._report(Step(name, True, round(time.monotonic() - began, 3)))
        return value

    def _report(self, step: Step) -> None:
        self.steps.append(step)
        word = "ok    " if step.passed else "FAILED"
        click.echo(f"{word} {step.seconds:6.1f} s  {step.step}", err=self._admin.machine)

    def _begin(self) -> None:
        limits = {"confirm_threshold_rows": MOST_ROWS + 1, "undo_days": KEPT_DAYS, "retention_days": KEPT_DAYS}
        organisations.ensure(self._db, org_id=ORG, name=REASON, limits=limits)
        try:
            next(self._client.jobs.list(most=1), None)
        except NotAuthenticated as error:
            raise CheckFailed(
                f"The gateway at {self._client.url} does not know a new key. Does it use the database "
                "of MONGODB_URL and MONGODB_DATABASE?"
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
            raise CheckFailed(f"The file has {size:,} bytes; {stored:,} are stored.")
        return sent.id

    def _preview(self, params: dict[str, Any]) -> dict[str, Any]:
        warnings = self._client.jobs.preview("upload", params).warnings
        suggestions = [warning.suggestion for warning in warnings if warning.code == "columns_swapped"]
        if suggestions != [SUGGESTION]:
            raise CheckFailed(f"The preview must suggest {SUGGESTION}; it suggests {suggestions}.")
        return SUGGESTION

    def _start(self, params: dict[str, Any]) -> Job:
        rate = self._rows / RUN_SECONDS
        job = self._client.jobs.create("upload", params, reason=REASON, max_rows_per_second=rate)
        while not (written := self._count()):
            if self._client.jobs.get(job.id).rests or not self._left():
                raise CheckFailed(f"Job {job.id} has written no row within {self._seconds:g} s.")
            time.sleep(LOOK_SECONDS)
        if written >= self._rows:
            raise CheckFailed(f"Job {job.id} has max_rows_per_second {rate:,.0f}, but wrote all rows at once.")
        return job

    def _terminate(self, job: Job) -> None:
        self._client.jobs.terminate(job.id, reason=REASON)
        self._rests(job, State.TERMINATED)
        self._is_empty()

    def _restart(self, wrong: Job, suggestion: dict[str, Any]) -> Job:
        job = self._client.jobs.restart(wrong.id, reason=REASON, params=suggestion)
        self._rests(job, State.SUCCEEDED)
        if (counted := self._count()) != self._rows:
            raise CheckFailed(f"The file has {self._rows:,} rows; {counted:,} are in MongoDB.")
        self._is_right()
        return job

    def _undo(self, job: Job) -> None:
        self._client.jobs.undo(job.id, reason=REASON)
        self._rests(job, State.UNDONE)
        self._is_empty()

    def _invariants(self) -> None:
        if findings := invariants.check_jobs(self._db, org_id=ORG):
            raise CheckFailed(f"Some invariants do not hold: {'; '.join(str(finding) for finding in findings)}")

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
        """Return the datasets without a valid key. A run creates its key first and revokes it last."""
        names = [name for name in datasets.names(self._db, org_id=ORG) if name.startswith(PREFIX)]
        valid = {"org_id": ORG, "revoked_at": None, "expires_at": {"$not": {"$lte": datetime.now(UTC)}}}
        at_work = {key["name"] for key in self._db.api_keys.find(valid, {"name": 1})}
        return [name for name in names if name not in at_work]

    def _rests(self, job: Job, state: State) -> None:
        seen = self._client.jobs.wait(job.id, "rest", timeout_seconds=self._left())
        if seen.state is not state:
            raise CheckFailed(f"Job {job.id} must be {state.value}; it is {seen.state.value}.")

    def _job_states(self) -> Iterator[str]:
        """Yield a sentence on each job of the run: from the gateway, or from the database if that does not answer."""
        try:
            for job_id, state in self._states(self._name):
                try:
                    seen = self._client.jobs.get(job_id)
                except CollectError:
                    yield f"Job {job_id}: {state} (from the database)."
                else:
                    yield f"Job {job_id}: {seen.state.value}, waiting_for {seen.waiting_for or 'no job'}. {seen.status}"
        except PyMongoError:
            yield "The states of the jobs cannot be read: the database does not answer."

    def _states(self, name: str) -> list[tuple[str, str]]:
        """Return the id and state of each job in the dataset, newest first."""
        documents = self._db.jobs.find({"org_id": ORG, "params.dataset": name}, {"state": 1}).sort("_id", -1)
        return [(job["_id"], job["state"]) for job in documents]

    def _left(self) -> float:
        """Return the seconds that the step has left."""
        return max(0.0, self._deadline - time.monotonic())

    def _count(self) -> int:
        return datasets.row_count(self._db, org_id=ORG, name=self._name)

    def _is_empty(self) -> None:
        if counted := self._count():
            raise CheckFailed(
                f"{counted:,} {'row is' if counted == 1 else 'rows are'} left in dataset {self._name}; none may be."
            )

    def _is_right(self) -> None:
        """Check that every stored row has the district and the block of the right file."""
        for stored, row in zip(self._stored(), _rows(Survey(rows=self._rows)), strict=True):
            if any(stored["values"].get(name) != row[name] for name in (*EXCHANGED, "respondent_id")):
                raise CheckFailed(f"Row {row['respondent_id']} differs from the file.")

    def _stored(self) -> Iterator[Document]:
        after: str | None = None
        while True:
            rows, after = datasets.rows(self._db, org_id=ORG, name=self._name, limit=ROWS_AT_ONCE, after=after)
            yield from rows
            if after is None:
                return


@contextmanager
def _key(admin: Admin, name: str, seconds: float) -> Iterator[str]:
    """Yield the secret of a key that is valid during the run."""
    expires_at = datetime.now(UTC) + timedelta(seconds=KEY_STEPS * seconds)
    created = api_keys.create(admin.db, org_id=ORG, name=name, role="operator", expires_at=expires_at)
    try:
        yield created.secret
    finally:
        api_keys.revoke(admin.db, org_id=ORG, key_id=created.key.id)


def _rows(survey: Survey) -> Iterator[dict[str, str]]:
    for block in blocks(survey):
        for row in block:
            yield dict(zip(COLUMNS, row, strict=True))
