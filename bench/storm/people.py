"""The people of a storm: they ask for jobs and verbs at two gateways, and write down what they were answered."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from collect.api.jobs import Job
from collect.client.api import CollectClient
from collect.client.errors import ApiError, ClientError, Unreachable
from collect.client.transport import new_idempotency_key
from collect.jobs.states import HOLDING, State, Verb, allowed_verbs
from storm import correcting
from storm.field import Field
from storm.findings import Findings
from storm.log import Log
from storm.plan import GATEWAYS, OF_FILES, ORGANISATIONS, Ask, Correct, Create, Enrol, Export, Plan, Sending
from storm.responses import WISHES
from storm.watch import Watch

T = TypeVar("T")

NEWEST = 12
"""Verbs go to one of the youngest jobs, most of which are at work."""
NEEDS_FREE = frozenset({Verb.UNDO, Verb.RESTART})
"""Refused while another job holds the dataset, or the organisation's teams."""
IN_EFFECT: dict[Verb, frozenset[State]] = {
    Verb.PAUSE: frozenset({State.PAUSED}),
    Verb.STOP: frozenset({State.STOPPED}),
    Verb.TERMINATE: frozenset({State.TERMINATING, State.TERMINATED}),
    Verb.UNDO: frozenset({State.UNDOING, State.UNDONE}),
    Verb.CORRECT: frozenset({State.QUEUED, State.PAUSED}),
}
"""What a job may be in the answer to a verb. Others may already have gone on."""
NEVER = frozenset({400, 401, 403, 413, 422, 429, 500})
"""Answers that nobody in a storm deserves, whatever breaks."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request, and its answer. ``status``: of HTTP, or 0 when there was none. ``tries``: how often it was sent."""

    act: str
    verb: str
    job_id: str
    org_id: str
    status: int
    tries: int
    ms: float
    latency_ms: float | None = None
    state: str | None = None


@dataclass
class Tries:
    """Counts how often a client has sent what it was asked to."""

    n: int = 1
    told: list[str] = field(default_factory=list)

    def again(self, error: ClientError) -> None:
        self.n += 1
        self.told.append(str(error)[:100])


class People:
    """Acts for them; called from many threads."""

    def __init__(
        self, *, plan: Plan, field: Field, log: Log, findings: Findings, watch: Watch, files: dict[str, Path]
    ) -> None:
        self.asked: list[Asked] = []
        self._plan = plan
        self._field = field
        self._log = log
        self._findings = findings
        self._watch = watch
        self._files = files
        self._sent: dict[str, str] = {}
        self._lock = threading.Lock()
        self._hands = ThreadPoolExecutor(12, thread_name_prefix="hands")

    def close(self) -> None:
        self._hands.shutdown()

    def prepare(self) -> None:
        """Send every file once, before anything breaks."""
        for org_id in ORGANISATIONS:
            with self._field.client(org_id, 0) as client:
                for sheet in (*self._plan.shapes[org_id], *self._plan.rosters[org_id]):
                    self._sent[sheet.name] = client.files.upload(self._files[sheet.name]).id

    def create(self, act: Create) -> None:
        """Ask for an upload, maybe several times at once under one key."""
        self._send("upload", act, dataset=act.dataset)

    def enrol(self, act: Enrol) -> None:
        """Ask for teams, likewise."""
        self._send("teams", act)

    def export(self, act: Export) -> None:
        """Ask for an export, likewise."""
        self._create("export", act, {**WISHES[act.wish], "format": act.format})

    def _send(self, kind: str, act: Sending, **where: str) -> None:
        sheet = self._plan.sheets(act.org_id, kind)[act.sheet]
        file_id = self._sent[sheet.name]
        if act.fresh_file:
            tries, path = Tries(), self._files[sheet.name]
            try:
                file_id = self._at_either(act.org_id, act.gateway, lambda client: client.files.upload(path).id, tries)
            except ClientError as error:
                self._judge(act.name, "upload", "", act.org_id, error, tries, 0.0)
                return
        self._create(kind, act, {**self._params(act, lock_of(kind, where)), "file_id": file_id, **where})

    def _create(self, kind: str, act: Sending | Export, params: dict[str, Any]) -> None:
        key = new_idempotency_key()

        def ask(n: int) -> str | None:
            return self._create_once(kind, act, act.gateway + n, key, params)

        made = {job_id for job_id in self._hands.map(ask, range(act.again)) if job_id}
        if len(made) > 1:
            self._findings.add("doubled", f"{act.name}: one idempotency key has made {sorted(made)}")

    def _params(self, act: Sending, lock: str | None) -> dict[str, Any]:
        params: dict[str, Any] = {"mode": act.mode, "on_conflict": act.on_conflict}
        if act.tolerant:
            params["max_rejected"] = {"percent": 100.0}
        if act.on_conflict == "supersede" and act.names_holder:
            jobs = [job for job in self._watch.jobs(act.org_id) if lock_of(job.kind, job.params) == lock]
            if jobs:
                params["supersedes"] = jobs[: NEWEST // 2][int(act.pick * len(jobs[: NEWEST // 2]))].id
        return params

    def _create_once(
        self, kind: str, act: Sending | Export, gateway: int, key: str, params: dict[str, Any]
    ) -> str | None:
        def call(client: CollectClient) -> Job:
            return client.jobs.create(
                kind,
                params,
                reason=act.name,
                priority=act.priority,
                confirm="always" if act.confirm else "auto",
                max_rows_per_second=act.rate,
                idempotency_key=key,
            )

        job = self._call(act.name, "create", "", act.org_id, gateway, call)
        return job.id if job else None

    def correct(self, act: Correct) -> None:
        """Look at the rejects of a job, and send some of them corrected; maybe several times at once under one key."""
        jobs = [job for job in self._watch.jobs(act.org_id) if job.kind in OF_FILES]
        if act.sensible:
            held = self._held(jobs)
            free = [job for job in jobs if job.state is State.PAUSED or lock_of(job.kind, job.params) not in held]
            jobs = [job for job in free if Verb.CORRECT in job.allowed_verbs]
        if not jobs:
            return
        job = jobs[:NEWEST][int(act.pick * len(jobs[:NEWEST]))]
        try:
            rows = self._corrected(act, job)
        except ClientError as error:
            self._log.write("not_corrected", act=act.name, job_id=job.id, error=str(error)[:200])
            return
        self._watch.may_begin_again(job.id)
        key, path = new_idempotency_key(), self._field.folder / f"corrected-{act.n}.csv"
        given: dict[str, Any] = {"path": correcting.save_csv(rows, path)} if act.as_csv else {"rows": rows}

        def ask(n: int) -> Job | None:
            return self._call(
                act.name, Verb.CORRECT.value, job.id, act.org_id, act.gateway + n,
                lambda client: client.jobs.correct(job.id, **given, reason=act.name, idempotency_key=key),
            )  # fmt: skip

        for answer in self._hands.map(ask, range(act.again)):
            if answer is not None and answer.state not in IN_EFFECT[Verb.CORRECT]:
                self._findings.add("not_in_effect", f"{act.name}: {job.id} was answered with {answer.state}")

    def _corrected(self, act: Correct, job: Job) -> list[correcting.Row]:
        sheets = {sheet.name: sheet for sheet in self._plan.sheets(act.org_id, job.kind)}
        with self._field.client(act.org_id, act.gateway) as client:
            rejects = list(client.jobs.rejects(job.id, most=correcting.MOST_REJECTS))
        rng = random.Random(f"{self._plan.seed} {act.n}")
        return correcting.rows(rejects, sheets, rng=rng, kind=job.kind, share=act.share, spoiled=act.spoiled)

    def ask(self, act: Ask) -> None:
        """Ask a verb of a job, maybe several times at once, from both gateways."""
        job = self._choose(act)
        if job is None:
            return
        if act.strange:
            self._ask_as_stranger(act, job)
            return
        list(self._hands.map(lambda n: self._ask(act, job, n), range(act.again)))

    def _choose(self, act: Ask) -> Job | None:
        jobs = self._watch.jobs(act.org_id)
        if act.sensible:
            held = self._held(jobs)
            free = [job for job in jobs if act.verb not in NEEDS_FREE or lock_of(job.kind, job.params) not in held]
            jobs = [job for job in free if act.verb in allowed_verbs(job.state, conflicts=job.conflicts)]
        jobs = jobs[:NEWEST]
        return jobs[int(act.pick * len(jobs))] if jobs else None

    def _held(self, jobs: Sequence[Job]) -> set[str | None]:
        """The locks that some of these jobs hold, or wait for."""
        return {lock_of(job.kind, job.params) for job in jobs if job.state in HOLDING} - {None}

    def _ask(self, act: Ask, job: Job, n: int) -> None:
        name = f"{act.name}.{n}"
        if act.verb is Verb.RESTART:
            file_id = None
            if act.shape is not None and job.kind in OF_FILES:
                sheets = self._plan.sheets(act.org_id, job.kind)
                file_id = self._sent[sheets[act.shape % len(sheets)].name]
            key = new_idempotency_key()  # the same at either gateway
            self._call(
                name, "restart", job.id, act.org_id, act.gateway + n,
                lambda client: client.jobs.restart(job.id, reason=name, file_id=file_id, idempotency_key=key),
            )  # fmt: skip
            return
        answer = self._call(
            name, act.verb.value, job.id, act.org_id, act.gateway + n, lambda client: _verb(client, act, job, name),
            valid_seconds=act.until_seconds if act.verb is Verb.PAUSE else None,
        )  # fmt: skip
        if answer is None:
            return
        allowed = IN_EFFECT.get(act.verb)
        if allowed is not None and answer.state not in allowed:
            self._findings.add("not_in_effect", f"{name}: {act.verb} of {job.id} was answered with {answer.state}")
        if act.verb in (Verb.PAUSE, Verb.STOP, Verb.TERMINATE):
            self._watch.stands_still(name, answer)

    def _ask_as_stranger(self, act: Ask, job: Job) -> None:
        """What belongs to another organisation answers 404."""
        other = next(org_id for org_id in ORGANISATIONS if org_id != act.org_id)
        name = f"{act.name}.stranger"
        self._call(
            name, act.verb.value, job.id, other, act.gateway,
            lambda client: client.jobs.restart(job.id, reason=name) if act.verb is Verb.RESTART
            else _verb(client, act, job, name),
        )  # fmt: skip
        last = self.asked_by(name)
        if last and last.status not in (404, 0, 503):
            self._findings.add("other_organisation", f"{name}: {act.verb} of {job.id} by {other}: {last.status}")

    def asked_by(self, name: str) -> Asked | None:
        with self._lock:
            return next((one for one in reversed(self.asked) if one.act == name), None)

    def _call(
        self,
        act: str,
        verb: str,
        job_id: str,
        org_id: str,
        gateway: int,
        call: Callable[[CollectClient], Job],
        *,
        valid_seconds: float | None = None,
    ) -> Job | None:
        """Return the job that is answered, or ``None`` after an error.

        ``valid_seconds``: how long the request is valid, if it names a time. Past it, a 422 is the right answer: a
        frozen gateway reads the request late.
        """
        tries = Tries()
        began = time.monotonic()
        try:
            job = self._at_either(org_id, gateway, call, tries)
        except ClientError as error:
            seconds = time.monotonic() - began
            late = valid_seconds is not None and seconds >= valid_seconds and error.code == "invalid_input"
            self._judge(act, verb, job_id, org_id, error, tries, seconds, late=late)
            return None
        latency = job.last_action.latency_ms if job.last_action and verb == job.last_action.verb else None
        self._note(
            Asked(
                act=act, verb=verb, job_id=job_id or job.id, org_id=org_id, status=202, tries=tries.n,
                ms=(time.monotonic() - began) * 1000, latency_ms=latency, state=job.state.value,
            )
        )  # fmt: skip
        if job.org_id != org_id:
            self._findings.add("other_organisation", f"{act}: {org_id} was answered a job of {job.org_id}")
        if not job_id or verb == "restart":
            self._watch.known(job)
        return job

    def _at_either(self, org_id: str, gateway: int, call: Callable[[CollectClient], T], tries: Tries) -> T:
        """What ``gateway`` answers; when it does not, what the other one does."""
        try:
            with self._field.client(org_id, gateway % GATEWAYS, on_retry=tries.again) as client:
                return call(client)
        except Unreachable as error:
            tries.again(error)
        with self._field.client(org_id, (gateway + 1) % GATEWAYS, on_retry=tries.again) as client:
            return call(client)

    def _judge(
        self,
        act: str,
        verb: str,
        job_id: str,
        org_id: str,
        error: ClientError,
        tries: Tries,
        seconds: float,
        *,
        late: bool = False,
    ) -> None:
        status = error.status if isinstance(error, ApiError) else 0
        self._note(
            Asked(
                act=act, verb=verb, job_id=job_id, org_id=org_id, status=status, tries=tries.n, ms=seconds * 1000,
                state=error.problem.state if isinstance(error, ApiError) else None,
            ),
            error=f"{error.code}: {error}"[:300],
            told=tries.told,
        )  # fmt: skip
        if status in NEVER and not late:
            self._findings.add("answer", f"{act}: {verb} of {job_id or 'a new job'}: {status} {error.code} {error}")

    def _note(self, asked: Asked, **more: Any) -> None:
        with self._lock:
            self.asked.append(asked)
        self._log.write("asked", **{**asked.__dict__, "ms": round(asked.ms, 1)}, **more)


def lock_of(kind: str, params: Mapping[str, Any]) -> str | None:
    """What jobs of one organisation may have in common, so that one of them waits for the other."""
    return "teams of all" if kind == "teams" else params.get("dataset")


def _verb(client: CollectClient, act: Ask, job: Job, name: str) -> Job:
    jobs = client.jobs
    match act.verb:
        case Verb.PAUSE:
            until = datetime.now(UTC) + timedelta(seconds=act.until_seconds) if act.until_seconds else None
            return jobs.pause(job.id, reason=name, until=until)
        case Verb.RESUME:
            more = {"percent": 100.0} if act.until_seconds and job.kind in OF_FILES else None
            return jobs.resume(job.id, reason=name, max_rejected=more)
        case Verb.STOP:
            return jobs.stop(job.id, reason=name)
        case Verb.TERMINATE:
            return jobs.terminate(job.id, reason=name)
        case Verb.UNDO:
            return jobs.undo(job.id, reason=name)
        case Verb.CONFIRM:
            return jobs.confirm(job.id, reason=name)
        case _:
            raise ValueError(f"{act.verb} is asked otherwise")
