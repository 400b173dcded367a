"""A plan that was stopped anywhere is taken up behind the parts that stand, and covers the file all the same."""

import gzip
import hashlib
from typing import Any

import pytest

from collect.csv.reading import Source
from collect.errors import TaskRefused
from collect.jobs.model import FileRef, Job, Part, PartStatus, Phase
from collect.jobs.template import Template
from collect.rows import planning
from collect.runtime.task import PlannedPart
from support.in_memory import MemoryBlobs
from support.upload_driver import ORG, new_job

TEMPLATE = Template.model_validate({"key": ["k"], "columns": [{"name": "k", "type": "string"}]})
MIB = 1024 * 1024
ROWS = 30_000
TEXT = b"k\n" + b"".join(b'"%d %s"\n' % (i, b"x" * 990) + b"\n" * (i % 1_000 == 0) for i in range(ROWS))
DRESSES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "plain": (TEXT, {}),
    "gzip": (gzip.compress(TEXT, 1), {}),
    "utf-16": (TEXT.decode().encode("utf-16"), {"encoding": "utf-16"}),
}


@pytest.fixture(scope="module", params=list(DRESSES))
def case(request: pytest.FixtureRequest) -> tuple[MemoryBlobs, dict[str, Any], list[PlannedPart]]:
    """The file, the params it needs, and its whole plan."""
    data, params = DRESSES[request.param]
    blobs = MemoryBlobs()
    blobs.contents["f"] = data
    return blobs, params, plan(blobs, params)


def plan(blobs: MemoryBlobs, params: dict[str, Any], after: Part | None = None) -> list[PlannedPart]:
    job = new_job(blob="f", dataset="d", **params)
    return [step for step in planning.plan(blobs, job, template=TEMPLATE, after=after) if step is not None]


def sent_job(data: bytes, params: dict[str, Any]) -> Job:
    """A job whose file is known by what was sent."""
    job = new_job(blob="f", dataset="d", **params)
    sent = FileRef(id="f", name="f.csv", bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), blob="f")
    return job.model_copy(update={"file": sent})


def standing(planned: PlannedPart, **changed: Any) -> Part:
    return Part(
        id="j:1", job_id="j", org_id=ORG, kind="upload", n=1, phase=Phase.RUN, status=PartStatus.DONE,
        source={**planned.source, **changed}, cursor=planned.cursor, total=planned.total,
    )  # fmt: skip


def text(blobs: MemoryBlobs, parts: list[PlannedPart]) -> bytes:
    sources = [Source.of(part.source) for part in parts]
    return b"".join(piece for source in sources for piece in source.pieces(blobs, source.start))


def test_a_plan_that_is_taken_up_covers_the_rest(case: tuple[MemoryBlobs, dict[str, Any], list[PlannedPart]]) -> None:
    blobs, params, whole = case
    assert len(whole) > 2
    for stands in range(1, len(whole) + 1):
        both = whole[:stands] + plan(blobs, params, standing(whole[stands - 1]))
        assert text(blobs, both) == TEXT[len(b"k\n") :]
        assert sum(part.total for part in both) == ROWS
        first = 1
        for part in both:
            assert (part.source["first_row"], part.cursor["row"]) == (first, first)
            first += part.total


def test_the_first_parts_are_small_and_those_behind_grow(
    case: tuple[MemoryBlobs, dict[str, Any], list[PlannedPart]], monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs, params, _ = case
    monkeypatch.setattr(planning, "SMALLEST_PART_BYTES", MIB // 2)
    parts = plan(blobs, params)
    sizes = [part.source["end"] - part.source["start"] for part in parts]
    assert sizes[0] < 6 * MIB
    assert max(sizes) > 1.5 * sizes[0]


def test_a_plan_is_not_taken_up_with_another_template(
    case: tuple[MemoryBlobs, dict[str, Any], list[PlannedPart]],
) -> None:
    blobs, params, whole = case
    with pytest.raises(TaskRefused) as refused:
        plan(blobs, params, standing(whole[0], template="another"))
    assert refused.value.code == "template_changed"


@pytest.mark.parametrize("most", [planning.BIGGEST_HASHED_BYTES, 0], ids=["hashed", "too big for that"])
@pytest.mark.parametrize("taken_up", [False, True], ids=["anew", "taken up"])
def test_a_plan_is_of_what_was_sent(
    case: tuple[MemoryBlobs, dict[str, Any], list[PlannedPart]],
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    taken_up: bool,
) -> None:
    blobs, params, whole = case
    data = blobs.contents["f"]
    job, after = sent_job(data, params), standing(whole[0]) if taken_up else None
    monkeypatch.setattr(planning, "BIGGEST_HASHED_BYTES", most)

    def read(stored: bytes) -> int:
        parts = planning.plan(MemoryBlobs({"f": stored}), job, template=TEMPLATE, after=after)
        return sum(part.total for part in parts if part is not None)

    assert read(data) == ROWS - (whole[0].total if taken_up else 0)
    with pytest.raises(TaskRefused, match="were sent"):
        read(data + b"\0\0")
    if most:
        with pytest.raises(TaskRefused, match="SHA-256"):
            read(other(data))


def other(data: bytes) -> bytes:
    """As long and as readable; it differs at its beginning, where a plan that is taken up has been already."""
    if data.startswith(b"\x1f\x8b"):
        return data[:4] + b"\1" + data[5:]
    return data.replace(b"x", b"y", 1)
