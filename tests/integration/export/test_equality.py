"""However often an export is interrupted, its result is that of one which was not: equal bytes, or equal tables."""

import dataclasses
import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import Decimal128, ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st
from ulid import ULID

from collect.errors import TaskRefused
from collect.jobs.forms import FieldType, Form, FormField
from collect.jobs.model import SYSTEM, Counts, Job, Part, Phase
from collect.jobs.outcomes import Applied
from collect.jobs.states import State
from collect.runtime.task import ChunkSize
from collect.storage import forms, indexes, organisations, results
from collect.storage.database import Database, connect
from collect.storage.object_store import Blobs, FileBlobs
from collect.storage.responses import BlockSize
from export_worker.task import ExportTask
from integration.export.counter import FIELDS, ORG, T0, first_member, table, unpacked

BLOCK = BlockSize(rows=7, bytes=4_000)
DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Field:
    """One database with responses, and a folder for what is made of them."""

    db: Database
    blobs: Blobs

    def fill(self, documents: list[dict[str, Any]]) -> str:
        form_id = f"f{ULID()}".lower()
        named = tuple(FormField(name=name, type=kind) for name, kind in FIELDS.items())
        forms.ensure(self.db, Form(org_id=ORG, form_id=form_id, title="x", version=1, fields=named))
        for n, document in enumerate(documents):
            own = {"_id": f"{form_id}-{n:05d}", "response_id": str(n), "org_id": ORG, "form_id": form_id}
            document.update(own)
        if documents:
            self.db["responses"].insert_many(documents)
        return form_id

    def run(self, job: Job, parts: Callable[[int], int], interrupted: random.Random | None) -> "Whole":
        """Every part from its beginning to its end; with ``interrupted``, in any order, by pieces of any size."""
        task = ExportTask(db=self.db, blobs=self.blobs, block=BLOCK, part_rows=parts)
        planned = list(self.planned(task, job, interrupted))
        if interrupted:
            interrupted.shuffle(planned)
        for part in planned:
            self.enter(part, self.written(task, job, part, interrupted))
        return self.finished(task, job)

    def enter(self, part: Part, committed: list[Applied]) -> None:
        """What a commit of each chunk leaves in the ledger."""
        for seq, applied in enumerate(committed):
            entry = {"job_id": part.job_id, "org_id": ORG, "n": part.n, "seq": seq, "undo": applied.undo}
            objects = [dataclasses.asdict(stored) for stored in applied.objects]
            self.db.ledger.insert_one({"_id": f"{part.id}:{seq}", "objects": objects, **entry})

    def finished(self, task: ExportTask, job: Job) -> "Whole":
        """The file as somebody downloads it. It is what its manifest says."""
        (result,) = [step for step in task.finish(job) if step is not None]
        data = b"".join(results.read(self.blobs, result["objects"], 0, result["bytes"]))
        assert (len(data), hashlib.sha256(data).hexdigest()) == (result["bytes"], result["sha256"])
        return Whole(data=data, result=result)

    def planned(self, task: ExportTask, job: Job, interrupted: random.Random | None) -> Iterator[Part]:
        after: Part | None = None
        n = 1
        while True:
            found = [step for step in task.plan(job, after) if step is not None]
            kept = found if interrupted is None else found[: interrupted.randint(1, 3)]
            for step in kept:
                after = Part(
                    id=f"{job.id}:{n}", job_id=job.id, org_id=ORG, kind="export", n=n, phase=Phase.RUN,
                    status="leased", source=step.source, cursor=step.cursor, total=step.total,
                )  # fmt: skip
                yield after
                n += 1
            if len(kept) == len(found):
                return

    def written(self, task: ExportTask, job: Job, part: Part, interrupted: random.Random | None) -> list[Applied]:
        """The part's committed chunks. A slice that is interrupted has made more than it has committed."""
        committed: list[Applied] = []
        over = False
        while not over:
            size = ChunkSize(rows=10**6) if interrupted is None else ChunkSize(rows=interrupted.randint(1, 30))
            slice_ = task.chunks(job, part, size)
            most = None if interrupted is None else interrupted.randint(0, 4)
            made = list(itertools.islice(slice_, most)) if most is not None else list(slice_)
            over = most is None or len(made) < most
            for chunk in made if over else made[: interrupted.randint(0, len(made)) if interrupted else None]:
                applied = task.apply(job, part, chunk, entry_id="x", session=None)  # type: ignore[arg-type]
                committed.append(applied)
                counts = Counts(
                    succeeded=part.counts.succeeded + applied.succeeded,
                    left_out=part.counts.left_out + applied.left_out,
                )
                part = part.model_copy(update={"cursor": chunk.cursor, "seq": part.seq + 1, "counts": counts})
            part = part.model_copy(update={"epoch": part.epoch + 1})
            slice_.close()
        assert part.counts.looked_at == part.total
        return committed


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A result: its bytes, and what is said of them."""

    data: bytes
    result: dict[str, Any]

    def is_as(self, other: "Whole") -> bool:
        """Equal bytes in equal parts; or, of parquet, whose objects are the parts and end anywhere, equal tables."""
        same = ["rows", "misfits", "complete"]
        if self.result["format"] == "parquet":
            return self._said(same) == other._said(same) and table(self.data).equals(table(other.data))
        return self._said([*same, "parts"]) == other._said([*same, "parts"]) and self.data == other.data

    def _said(self, names: list[str]) -> list[Any]:
        return [self.result[name] for name in names]


@pytest.fixture(scope="module")
def field(mongodb_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    db = connect(mongodb_url, database=f"equality_{ULID()}", app_name="test")
    indexes.migrate(db)
    organisations.ensure(db, org_id=ORG, name=ORG)
    yield Field(db=db, blobs=FileBlobs(folder=Path(tmp_path_factory.mktemp("blobs"))))
    db.client.drop_database(db.db.name)
    db.close()


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False),
    texts,
    st.sampled_from(("=1+1", "+919431000123", 'a,"b"\n', "x" * 3_000, "x" * 9_000)),
    st.lists(texts, max_size=2),
    st.dictionaries(st.sampled_from("ab"), texts),
    st.just(ObjectId("0123456789abcdef01234567")),
    st.just(Decimal128("1.5")),
    st.just(T0),
)
moments = st.integers(0, 3).map(lambda days: T0 + days * DAY) | st.integers(0, 10**7).map(
    lambda ms: T0 + timedelta(milliseconds=ms)
)
long = st.sampled_from(("x" * 1_500, "y" * 3_000, "z" * 9_000))
answers = st.fixed_dictionaries(
    {"submitted_at": moments},
    optional={name: values for name in FIELDS if name not in ("submitted_at", "response_id")} | {"phone": long},
)
filters = st.lists(
    st.sampled_from(
        (
            {"field": "age", "op": "gt", "value": 0},
            {"field": "name", "op": "exists", "value": True},
            {"field": "response_id", "op": "ne", "value": "3"},
            {"field": "phone", "op": "exists", "value": True},
            {"field": "married", "op": "eq", "value": True},
        )
    ),
    max_size=1,
)
columns = st.none() | st.just(["age", "response_id"])
formats = st.sampled_from(("csv", "csv.gz", "jsonl", "parquet"))


@settings(max_examples=100, deadline=None)
@given(
    documents=st.lists(answers, max_size=60),
    filters=filters,
    columns=columns,
    format_=formats,
    part_rows=st.integers(1, 40),
    seed=st.integers(0, 2**32),
)
def test_an_interrupted_export_equals_one_that_was_not(
    field: Field,
    documents: list[dict[str, Any]],
    filters: list[dict[str, Any]],
    columns: list[str] | None,
    format_: str,
    part_rows: int,
    seed: int,
) -> None:
    form_id = field.fill(documents)
    params = {"form_id": form_id, "filters": filters, "columns": columns, "format": format_}

    def run(source: random.Random | None, **others: str) -> Whole:
        return field.run(_job({**params, **others}), lambda n: part_rows + n % 3, source)

    whole = run(None)
    assert run(random.Random(seed)).is_as(whole)
    if format_ == "csv.gz":
        assert first_member(whole.data) == unpacked(whole.data) == run(None, format="csv").data


@pytest.mark.parametrize("seed", range(10))
def test_blocks_end_where_they_ended_though_filters_were_in_the_middle_of_their_window(field: Field, seed: int) -> None:
    sizes = random.Random(seed)
    documents = [{"submitted_at": T0, "phone": "x" * sizes.choice((0, 500, 1_500, 3_000))} for _ in range(60)]
    form_id = field.fill([{**document, "age": n} for n, document in enumerate(documents)])
    params = {"form_id": form_id, "filters": [{"field": "age", "op": "gt", "value": 3}], "format": "csv.gz"}
    whole, pieces = (field.run(_job(params), lambda _: 40, source) for source in (None, random.Random(seed)))
    assert pieces.is_as(whole)


class Counted(FileBlobs):
    """Knows how often each object was begun to be read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder=folder)
        self.reads: Counter[str] = Counter()

    def read(self, name: str, offset: int, length: int) -> bytes:
        self.reads[name] += not offset
        return super().read(name, offset, length)


def test_a_parquet_file_is_made_of_objects_that_are_read_once_and_are_as_they_were_written(
    field: Field, tmp_path: Path
) -> None:
    form_id = field.fill([{"submitted_at": T0 + n * DAY, "age": n} for n in range(30)])
    blobs = Counted(tmp_path)
    field = dataclasses.replace(field, blobs=blobs)
    task, job = ExportTask(db=field.db, blobs=blobs, block=BLOCK), _job({"form_id": form_id, "format": "parquet"})
    (part,) = field.planned(task, job, None)
    field.enter(part, field.written(task, job, part, random.Random(1)))
    assert table(field.finished(task, job).data)["age"].to_pylist() == list(range(30))
    assert len(blobs.reads) > 1
    assert set(blobs.reads.values()) == {1}
    name = next(iter(blobs.reads))
    blobs.write(name, [blobs.read(name, 0, 10_000)[:-1] + b"?"])
    with pytest.raises(TaskRefused, match=name) as refused:
        field.finished(task, job)
    assert refused.value.code == "result_damaged"


@pytest.mark.parametrize("come", [0, 5])
def test_what_has_come_or_gone_since_the_plan_is_counted_so(field: Field, come: int) -> None:
    form_id = field.fill([{"submitted_at": T0 + n * DAY} for n in range(30)])
    job = _job({"form_id": form_id})
    task = ExportTask(db=field.db, blobs=field.blobs, block=BLOCK, part_rows=lambda _: 100)
    (part,) = field.planned(task, job, None)
    field.db["responses"].delete_many({"form_id": form_id, "submitted_at": {"$gt": T0 + 11 * DAY}})
    later = [{"submitted_at": T0, "org_id": ORG, "form_id": form_id, "_id": f"{form_id}-new{n}"} for n in range(come)]
    field.db["responses"].insert_many([*later, {"_id": f"{form_id}-x"}])
    committed = field.written(task, job, part, random.Random(0))
    assert sum(stored.rows for applied in committed for stored in applied.objects) == 12 + come


def test_a_form_that_has_another_field_since_the_plan_is_refused(field: Field) -> None:
    form_id = field.fill([{"submitted_at": T0}])
    job = _job({"form_id": form_id})
    task = ExportTask(db=field.db, blobs=field.blobs, block=BLOCK, part_rows=lambda _: 100)
    (part,) = field.planned(task, job, None)
    form = forms.get(field.db, org_id=ORG, form_id=form_id)
    more = (*form.fields, FormField(name="new", type=FieldType.STRING))
    forms.ensure(field.db, form.model_copy(update={"fields": more}))
    with pytest.raises(TaskRefused) as refused:
        list(task.chunks(job, part, ChunkSize(rows=10)))
    assert refused.value.code == "form_changed"


def _job(params: dict[str, Any]) -> Job:
    return Job(
        id=str(ULID()).lower(), org_id=ORG, kind="export", params=params, state=State.RUNNING,
        created_at=datetime(2018, 1, 1, tzinfo=UTC), created_by=SYSTEM,
    )  # fmt: skip
