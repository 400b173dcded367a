"""The course of a storm: acts at their times, then calm, then the reckoning."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from collect.admin.check import check
from collect.storage.object_store import open_blobs
from storm import correcting, logs
from storm.book import Book
from storm.ending import Ending
from storm.exports import Exports
from storm.faults import Faults
from storm.field import Field
from storm.findings import Findings, Found
from storm.ground import Ground
from storm.log import Log
from storm.people import Asked, People
from storm.plan import OF_FILES, ORGANISATIONS, Act, Ask, Correct, Create, Enrol, Export, Fault, Plan
from storm.stored import Sheets
from storm.teams import Teams
from storm.watch import Watch

PEOPLE = 24
FAULTS_AT_ONCE = 6
STEP_SECONDS = 0.05
CALM_SECONDS = 120.0
"""For faults and requests that are under way when the acts are over."""
BOUND_SECONDS = 900.0
"""Beyond the acts: after that the storm ends itself, whatever hangs."""
HUNG = 3
STORED = ("rows", "teams", "members", "ledger")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What there is to tell."""

    seed: int
    seconds: float
    acts: Counter[str]
    left_out: int
    faults: dict[str, int]
    states: Counter[str]
    asked: Sequence[Asked]
    looks: int
    samples: int
    stored: Counter[str]
    rest_seconds: float
    undos: int
    compared: int
    corrected: int
    findings: Sequence[Found]


def storm(*, seed: int, seconds: float, folder: Path) -> Result:
    """Run one storm, with servers of its own. Blocks for its seconds and some minutes; leaves no process.

    Raises:
        ServerMissing: the programme of a server is not on this machine.
    """
    watchdog = threading.Timer(seconds + BOUND_SECONDS, _give_up, args=(folder,))
    watchdog.daemon = True
    watchdog.start()
    log = Log(folder / "acts.jsonl")
    ground = Ground()
    try:
        return _Storm(plan=Plan(seed=seed, seconds=seconds), ground=ground, folder=folder, log=log).run()
    finally:
        ground.close()
        log.close()
        watchdog.cancel()


def _give_up(folder: Path) -> None:
    sys.stderr.write(f"The storm has not ended by itself; see {folder}.\n")
    os._exit(HUNG)  # servers and services are children that end with this process


class _Storm:
    def __init__(self, *, plan: Plan, ground: Ground, folder: Path, log: Log) -> None:
        self._plan = plan
        self._ground = ground
        self._log = log
        self._findings = Findings(log)
        sheets = [sheet for org_id in ORGANISATIONS for kind in OF_FILES for sheet in plan.sheets(org_id, kind)]
        files = {sheet.name: sheet.save(folder) for sheet in sheets}
        self._sheets = Sheets(sheets)
        self._field = Field(ground=ground, folder=folder / "services", log=log)
        self._watch = Watch(field=self._field, log=log, findings=self._findings, seed=plan.seed)
        self._people = People(
            plan=plan, field=self._field, log=log, findings=self._findings, watch=self._watch, files=files
        )
        self._faults = Faults(field=self._field, log=log, findings=self._findings)
        self._persons = ThreadPoolExecutor(PEOPLE, thread_name_prefix="person")
        self._breakers = ThreadPoolExecutor(FAULTS_AT_ONCE, thread_name_prefix="fault")
        self._under_way: list[Future[None]] = []
        self._left_out = 0

    def run(self) -> Result:
        try:
            self._field.open()
            self._people.prepare()
            self._watch.start()
            self._rage()
            self._calm()
            result = self._reckon()
        finally:
            self._faults.over.set()
            self._watch.close()
            self._field.close()
            self._persons.shutdown(cancel_futures=True)
            self._people.close()
            self._breakers.shutdown(cancel_futures=True)  # the servers that its threads have started end with them
        for pid in self._field.left_over():
            self._findings.add("left_over", f"process {pid} is still there")
        return result

    def _rage(self) -> None:
        began = time.monotonic()
        self._log.write("storm", seed=self._plan.seed, seconds=self._plan.seconds, acts=len(self._plan.acts))
        for act in self._plan.acts:
            while time.monotonic() - began < act.at:
                self._field.supervise()
                time.sleep(STEP_SECONDS)  # each act has its time in the plan
            self._under_way.append(self._begin(act))
        while time.monotonic() - began < self._plan.seconds:
            self._field.supervise()
            time.sleep(STEP_SECONDS)  # the storm lasts as long as the plan says

    def _begin(self, act: Act) -> Future[None]:
        match act:
            case Create():
                return self._persons.submit(self._unless_over, act, lambda: self._people.create(act))
            case Enrol():
                return self._persons.submit(self._unless_over, act, lambda: self._people.enrol(act))
            case Export():
                return self._persons.submit(self._unless_over, act, lambda: self._people.export(act))
            case Correct():
                return self._persons.submit(self._unless_over, act, lambda: self._people.correct(act))
            case Ask():
                return self._persons.submit(self._unless_over, act, lambda: self._people.ask(act))
            case Fault():
                return self._breakers.submit(self._faults.strike, act)
            case _:
                raise TypeError(f"{act} is no act of a storm")

    def _unless_over(self, act: Act, do: object) -> None:
        if self._faults.over.is_set():
            self._left_out += 1
            self._log.write("left_out", n=act.n)
        elif callable(do):
            do()

    def _calm(self) -> None:
        """What is broken heals, and who has asked gets an answer."""
        self._faults.over.set()
        self._log.write("calm")
        deadline = time.monotonic() + CALM_SECONDS
        pending = set(self._under_way)
        while pending and time.monotonic() < deadline:
            self._field.supervise()
            pending = wait(pending, timeout=STEP_SECONDS).not_done
        if pending:
            self._findings.add("driver", f"{len(pending)} acts are still under way {CALM_SECONDS:g} s after the storm")
        self._ground.heal()
        self._field.heal()
        self._field.until_ready()
        for future in self._under_way:
            if future.done() and (error := future.exception()) is not None:
                self._findings.add("driver", f"an act ended with {error!r}")

    def _reckon(self) -> Result:
        field, findings = self._field, self._findings
        with Ending(field=field, log=self._log, findings=findings, seed=self._plan.seed) as ending:
            rest_seconds = ending.rest()
            self._watch.close()
            self._watch.settle()
            self._check("at rest")
            Book(field=field, sheets=self._sheets, findings=findings).check(self._people.asked)
            exports = Exports(field=field, findings=findings)
            exports.check()
            states = Counter(job["state"] for job in field.db.jobs.find({}, {"state": 1}))
            corrected = sum(map(len, correcting.written(field.db).values()))
            stored = Counter({name: field.db[name].estimated_document_count() for name in STORED})
            undos = ending.take_back() + Teams(field=field, sheets=self._sheets, findings=findings).take_back()
            exports.take_back()
            self._check("taken back")
            logs.check(field.folder, findings)
        return Result(
            seed=self._plan.seed,
            seconds=self._plan.seconds,
            acts=Counter(type(act).__name__.lower() for act in self._plan.acts),
            left_out=self._left_out,
            faults=self._faults.done,
            states=states,
            asked=self._people.asked,
            looks=self._watch.looks,
            samples=self._watch.samples,
            stored=stored,
            rest_seconds=rest_seconds,
            undos=undos,
            compared=exports.compared,
            corrected=corrected,
            findings=findings.all,
        )

    def _check(self, when: str) -> None:
        """`collect-admin check`."""
        db = self._field.db
        for finding in check(db, blobs=open_blobs("gridfs://", db)):
            self._findings.add("invariant", f"{when}: {finding}")
