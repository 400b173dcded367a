"""After the storm: every document and every row explained from the files alone, every answer from the audit trail."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from collect.jobs.states import RESTING, TAKING_BACK, State
from collect.storage.rejects import MOST_STORED
from storm import correcting
from storm.field import CALM, Field
from storm.files import Sheet
from storm.findings import Findings
from storm.people import Asked
from storm.plan import OF_FILES
from storm.stored import Document, Sheets, Stored, job_of, place_of
from storm.teams import Teams

TAKEN_BACK = frozenset({State.TERMINATED, State.UNDONE, State.UNDO_FAILED, *TAKING_BACK})
LEFT_ROWS = frozenset({State.STOPPED, State.FAILED, State.PAUSED})
EXPECTED_FAILURES = frozenset({"poison"})
"""In a storm a part may well lose its owner five times in a row. Nothing else makes a good file fail."""
MOST_SAID = 5


class Book:
    """Compares the stores with the model of the files. All jobs rest meanwhile."""

    def __init__(self, *, field: Field, sheets: Sheets, findings: Findings) -> None:
        self._field = field
        self._db = field.db
        self._findings = findings
        self._sheets = sheets
        self._corrected: dict[str, dict[int, str]] = {}
        self._teams = Teams(field=field, sheets=sheets, findings=findings)

    def check(self, asked: Sequence[Asked]) -> None:
        """All of it."""
        jobs = {job["_id"]: job for job in self._db.jobs.find()}
        self._corrected = correcting.written(self._db)
        self._sheets.corrected(self._corrected)
        stored = self.check_documents(jobs)
        self._teams.explain(jobs, stored)
        self._teams.check_lists()
        for job in jobs.values():
            if job["kind"] in OF_FILES:
                self._check_job(job, stored)
        self._check_answers(asked, jobs)

    def check_documents(self, jobs: dict[str, Document]) -> Stored:
        """Each document is the row that its mark and its number name, and stands where that row belongs."""
        stored = Stored()
        wrong: list[str] = []
        for document in self._db.rows.find():
            job = job_of(document, jobs)
            why = "no such job" if job is None else self._is_wrong(document, job)
            if why:
                wrong.append(f"{document['_id']} of {document['written_by']} row {document['row']}: {why}")
            elif job is not None:
                stored.keys[place_of(job)].add(document["values"]["code"])
                stored.rows[job["_id"]].add(document["row"])
                stored.ids[job["_id"]].add(document["_id"])
        self._tell("unexplained", wrong)
        return stored

    def _is_wrong(self, document: Document, job: Document) -> str | None:
        sheet, row = self._sheets.of(job), document["row"]
        if place_of(job) != (document["org_id"], document["dataset"]):
            return "it is of another dataset than its job"
        if not 1 <= row <= sheet.rows or sheet.is_bad(row):
            return "its file has no such good row"
        expected = {name: value for name, value in sheet.values(row).items() if name in sheet.columns}
        there = {name: document["values"].get(name) for name in expected}
        if there != expected:
            return f"it has {there}, its file {expected}"
        if document["_id"] != f"{document['org_id']}|{document['dataset']}|{expected['code']}":
            return "its id is not made of its key"
        return None

    def _check_job(self, job: Document, stored: Stored) -> None:
        state = State(job["state"])
        if state not in RESTING:
            return  # found already by those who waited for it
        if state in (State.FAILED, State.UNDO_FAILED):
            self._check_reason(job)
        if state in TAKEN_BACK:
            self._check_taken_back(job, stored)
        else:
            self._check_rows(job, state, stored)

    def _check_reason(self, job: Document) -> None:
        reason = job["reason"] or {}
        if reason.get("code") not in EXPECTED_FAILURES:
            self._findings.add("failed", f"{job['_id']} is {job['state']}: {reason}")

    def _check_taken_back(self, job: Document, stored: Stored) -> None:
        """Nothing is left but what is listed as a conflict."""
        entries = self._db.ledger.find({"job_id": job["_id"]}, {"conflicts": 1})
        listed = {conflict["id"] for entry in entries for conflict in entry["conflicts"]}
        left = stored.ids[job["_id"]] - listed
        if left and job["state"] != State.UNDO_FAILED:
            self._tell("left_behind", [f"{job['_id']} ({job['state']}): {one}" for one in sorted(left)])

    def _check_rows(self, job: Document, state: State, stored: Stored) -> None:
        """Each row of the file has one outcome, the right one."""
        sheet, job_id = self._sheets.of(job), job["_id"]
        corrected = self._corrected.get(job_id, {})
        rejects = list(self._db.rejects.find({"job_id": job_id}, {"row": 1, "code": 1}))
        refused = {reject["row"] for reject in rejects}
        untouched = self._unprocessed(job, sheet) if state in LEFT_ROWS else self._none_or_all(state, sheet)
        counts: Counter[str] = Counter()
        for part in self._db.parts.find({"job_id": job_id}, {"counts": 1}):
            counts.update(part["counts"])
        wrong = [why for row, text in corrected.items() if (why := correcting.is_wrong(sheet, row, text))]
        if counts["succeeded"] + counts["rejected"] + len(untouched) != sheet.rows:
            wrong.append(f"{dict(counts)} and {len(untouched)} unprocessed are not {sheet.rows}")
        all_kept = counts["rejected"] <= MOST_STORED  # of more than that not every reject is stored
        if (
            len(rejects) != len(refused)
            or not min(counts["rejected"], MOST_STORED - len(corrected)) <= len(refused) <= counts["rejected"]
        ):
            wrong.append(f"{len(rejects)} rejects of {len(refused)} rows; {counts['rejected']} counted")
        if refused & untouched:
            wrong.append(f"rejected and unprocessed: {_some(refused & untouched)}")
        done = set(range(1, sheet.rows + 1)) - untouched
        if all_kept and not sheet.bad_rows & done <= refused:
            wrong.append(f"bad rows that are not rejected: {_some((sheet.bad_rows & done) - refused)}")
        if stored.rows[job_id] & (untouched | refused):
            wrong.append(f"stored, but rejected or not reached: {_some(stored.rows[job_id] & (untouched | refused))}")
        if all_kept:
            wrong += self._keys(job, sheet, done, refused, stored)
        self._tell("rows", [f"{job_id} ({state}, {sheet.name}, {job['params'].get('mode')}): {one}" for one in wrong])

    def _keys(self, job: Document, sheet: Sheet, done: set[int], refused: set[int], stored: Stored) -> Iterable[str]:
        """What was written is there, whoever has overwritten it since; of rows with the same key the right one."""
        upsert = job["params"].get("mode") == "upsert"
        there = stored.keys[place_of(job)]
        missing = [row for row in done - refused if sheet.key(row) not in there]
        if missing:
            yield f"written rows whose key is not there: {_some(missing)}"
        if upsert and refused != sheet.bad_rows & done:
            yield f"an upsert has rejected good rows: {_some(refused - sheet.bad_rows)}"
        if job["state"] != State.SUCCEEDED:
            return
        winners = sheet.last_rows if upsert else sheet.first_rows
        losers = [row for row in stored.rows[job["_id"]] if winners[sheet.key(row)] != row]
        losers = [row for row in losers if not self._took_over(job, row)]
        if losers:
            yield f"stored, but another row with the key should be: {_some(losers)}"
        if not upsert:
            second = [row for row in done - refused if winners[sheet.key(row)] != row]
            if second:
                yield f"rows with a key that came before, not rejected: {_some(second)}"

    def _took_over(self, job: Document, row: int) -> bool:
        """Whether a correction first touched the document: another job had written it since, a later row's or not."""
        query = {"written_by": {"$gte": f"{job['_id']}:", "$lt": f"{job['_id']};"}, "row": row}
        found = [*self._db.rows.find(query, {"written_by": 1}), *self._db.teams.find(query, {"written_by": 1})]
        parts = {document["written_by"].rpartition(":")[0] for document in found}
        there = self._db.parts.count_documents({"_id": {"$in": sorted(parts)}, "correction": {"$ne": None}})
        return bool(parts) and there == len(parts)

    def _unprocessed(self, job: Document, sheet: Sheet) -> set[int]:
        """The rows that the API says were never reached: by the number that each carries in a column."""
        with self._field.client(job["org_id"], 0, patience=CALM) as client:
            path = self._field.folder / f"unprocessed-{job['_id']}.csv"
            client.jobs.save_unprocessed(job["_id"], path)
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
        path.unlink()
        said = [row[sheet.said_in].partition(" ")[0].partition("/") for row in rows]
        strange = ["".join(one) for one in said if one[0] != sheet.name]
        numbers = [int(one[2]) for one in said]
        if strange or len(set(numbers)) != len(numbers):
            self._findings.add("rows", f"{job['_id']}: unprocessed rows that are strange {strange[:3]} or there twice")
        return set(numbers)

    def _none_or_all(self, state: State, sheet: Sheet) -> set[int]:
        return set() if state is State.SUCCEEDED else set(range(1, sheet.rows + 1))

    def _check_answers(self, asked: Sequence[Asked], jobs: dict[str, Document]) -> None:
        """Each act has the effect that it was answered, once."""
        effects: defaultdict[str, list[Document]] = defaultdict(list)
        for entry in self._db.audit.find({"reason": {"$regex": "^storm "}}):
            effects[entry["reason"]].append(entry)
        sent: defaultdict[str, list[Asked]] = defaultdict(list)
        for one in asked:
            if one.verb == "upload":
                continue
            sent[one.act].append(one)
            if one.status == 202 and one.job_id not in jobs:
                self._findings.add("lost", f"{one.act}: {one.verb} was answered 202; there is no {one.job_id}")
        for act, ones in sent.items():
            self._check_act(act, ones, effects.pop(act, []))
        self._tell("invented", [f"nobody asked for {act}: {entries}" for act, entries in effects.items()])

    def _check_act(self, act: str, ones: list[Asked], effects: list[Document]) -> None:
        tries = sum(one.tries for one in ones)
        creates = ones[0].verb in ("create", "restart", "correct")  # what has an idempotency key happens once
        most = 1 if creates else tries
        if len(effects) > most:
            self._findings.add("doubled", f"{act}: asked {tries} times, in effect {len(effects)}: {effects}")
        if creates and not effects and any(one.status == 202 for one in ones):
            self._findings.add("lost", f"{act}: answered 202, and nothing was done")
        if effects and tries == len(ones) and all(400 <= one.status < 500 for one in ones):
            self._findings.add("refused_in_effect", f"{act}: refused {[one.status for one in ones]}: {effects}")

    def _tell(self, code: str, wrong: Sequence[str]) -> None:
        for one in wrong[:MOST_SAID]:
            self._findings.add(code, one)
        if len(wrong) > MOST_SAID:
            self._findings.add(code, f"and {len(wrong) - MOST_SAID} more of that")


def _some(rows: Iterable[int]) -> str:
    found = sorted(rows)
    return f"{found[:5]} ({len(found)})"
