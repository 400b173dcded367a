"""What goes over the wire today is what went over it yesterday, and what cannot be read is set aside."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect.errors import Poison
from collect.messaging import messages
from collect.messaging.messages import Heartbeat, JobEvent, Message, Poke, RunPart, SlotReport, decode, encode

GOLDEN = Path(__file__).parent / "golden"
JOB = "01jz8m0a2b4c6d8e0f2g4h6j8k"
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

SENT: dict[str, tuple[Message, str | None]] = {
    "RunPart.v1": (RunPart(job_id=JOB, part=3, kind="upload", ticket=7), TRACEPARENT),
    "Poke.v1": (Poke(job_id=JOB, kind="upload"), None),
    "Heartbeat.v1": (
        Heartbeat(
            worker_id="worker-1-4711",
            kind="upload",
            version="1.2.3",
            slots=[
                SlotReport(job_id=JOB, part=3, epoch=2, rate=8123.5, rss=104857600, cpu=12.25),
                SlotReport(rss=73400320, cpu=0.5),
            ],
            at=AT,
        ),
        None,
    ),
    "JobEvent.v1": (
        JobEvent.model_validate(
            {
                "job_id": JOB,
                "org_id": "labs",
                "kind": "upload",
                "from": "running",
                "to": "paused",
                "reason": "The columns are exchanged.",
                "seq": 4,
                "at": AT,
            }
        ),
        TRACEPARENT,
    ),
}
NAMES = sorted(SENT)

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def golden(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return found


def as_bytes(envelope: Any) -> bytes:
    return json.dumps(envelope).encode()


def code_of(data: bytes) -> str:
    with pytest.raises(Poison) as caught:
        decode(data)
    return caught.value.code


def fields_of(name: str) -> list[str]:
    return sorted(golden(name)["body"])


def test_every_message_and_version_has_a_golden_file_and_no_file_is_left_over() -> None:
    known = {f"{name}.v{version}" for name, version in messages._BY_NAME}
    assert known == set(SENT) == {path.stem for path in GOLDEN.glob("*.json")}


@pytest.mark.parametrize("name", NAMES)
def test_what_was_sent_by_an_older_release_is_read(name: str) -> None:
    message, traceparent = SENT[name]
    envelope, read = decode((GOLDEN / f"{name}.json").read_bytes())
    assert read == message
    assert type(read) is type(message)
    assert envelope.traceparent == traceparent
    assert envelope.at == datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_sent_today_is_what_an_older_release_reads(name: str) -> None:
    message, traceparent = SENT[name]
    sent = json.loads(encode(message, traceparent=traceparent))
    expected = golden(name)
    assert len(sent.pop("id")) == len(expected.pop("id"))
    assert datetime.fromisoformat(sent.pop("at")).tzinfo is not None
    expected.pop("at")
    assert sent == expected


def test_two_sendings_of_a_message_have_two_ids() -> None:
    poke = Poke(job_id=JOB, kind="upload")
    assert decode(encode(poke, traceparent=None))[0].id != decode(encode(poke, traceparent=None))[0].id


def test_the_event_of_a_job_just_made_comes_from_nowhere() -> None:
    made = {"job_id": JOB, "org_id": "labs", "kind": "upload", "from": None, "to": "queued", "reason": "", "seq": 0}
    event = JobEvent.model_validate({**made, "at": AT})
    assert decode(encode(event, traceparent=None))[1] == event


@pytest.mark.parametrize("name", NAMES)
def test_fields_of_a_later_release_are_ignored(name: str) -> None:
    later = golden(name)
    later["priority"] = "high"
    later["body"]["shiny"] = {"new": [1, 2]}
    for slot in later["body"].get("slots", []):
        slot["temperature"] = 40
    assert decode(as_bytes(later))[1] == SENT[name][0]


@pytest.mark.parametrize(("name", "field"), [(name, field) for name in NAMES for field in fields_of(name)])
def test_a_message_that_lacks_a_field_is_poison(name: str, field: str) -> None:
    lacking = golden(name)
    del lacking["body"][field]
    assert code_of(as_bytes(lacking)) == "incomplete"


@pytest.mark.parametrize("field", ["name", "version", "id", "at", "body"])
def test_an_envelope_that_lacks_a_field_is_poison(field: str) -> None:
    lacking = golden("Poke.v1")
    del lacking[field]
    assert code_of(as_bytes(lacking)) == "no_envelope"


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff\xfe", b"null", b"[]", b'"RunPart"', b"[" * 5_000, b'{"name": "\\ud800"}'],
    ids=["nothing", "broken", "not utf-8", "null", "list", "string", "deep", "half a surrogate"],
)
def test_what_is_no_envelope_is_poison(data: bytes) -> None:
    assert code_of(data) == "no_envelope"


@pytest.mark.parametrize("change", [{"name": "RunPlan"}, {"version": 2}, {"version": 0}, {"name": ""}])
def test_an_unknown_name_or_version_is_poison(change: dict[str, Any]) -> None:
    assert code_of(as_bytes({**golden("RunPart.v1"), **change})) == "unknown_message"


def test_a_message_over_the_limit_is_poison_and_one_at_the_limit_is_not() -> None:
    padded = golden("RunPart.v1")
    padded["padding"] = ""
    padded["padding"] = "x" * (messages.MAX_BYTES - len(as_bytes(padded)))
    assert len(as_bytes(padded)) == messages.MAX_BYTES
    assert decode(as_bytes(padded))[1] == SENT["RunPart.v1"][0]
    padded["padding"] += "x"
    assert code_of(as_bytes(padded)) == "too_large"


@pytest.mark.parametrize(("field", "value"), [("part", -1), ("part", 2**63), ("ticket", -1), ("ticket", 10**30)])
def test_a_number_that_no_store_can_hold_is_poison(field: str, value: int) -> None:
    wrong = golden("RunPart.v1")
    wrong["body"][field] = value
    assert code_of(as_bytes(wrong)) == "incomplete"


@pytest.mark.parametrize(("field", "value"), [("epoch", 2**63), ("rss", 10**30), ("part", -1)])
def test_a_slot_reported_with_a_number_that_no_store_can_hold_is_poison(field: str, value: int) -> None:
    wrong = golden("Heartbeat.v1")
    wrong["body"]["slots"][0][field] = value
    assert code_of(as_bytes(wrong)) == "incomplete"


@given(data=st.binary(max_size=200))
def test_bytes_of_any_kind_are_read_or_poison(data: bytes) -> None:
    assert code_of(data) == "no_envelope"


@given(value=any_json)
def test_json_of_any_kind_is_read_or_poison(value: Any) -> None:
    read_or_poison(as_bytes(value))


@given(name=st.sampled_from(NAMES), place=st.sampled_from(["envelope", "body"]), data=st.data(), value=any_json)
def test_a_message_with_any_field_replaced_is_read_or_poison(name: str, place: str, data: Any, value: Any) -> None:
    changed = golden(name)
    target = changed if place == "envelope" else changed["body"]
    target[data.draw(st.sampled_from(sorted(target)))] = value
    read_or_poison(as_bytes(changed))


@given(name=st.sampled_from(NAMES), cut=st.integers(min_value=0, max_value=400))
def test_a_message_cut_off_anywhere_is_read_or_poison(name: str, cut: int) -> None:
    read_or_poison(as_bytes(golden(name))[:cut])


def read_or_poison(data: bytes) -> None:
    try:
        envelope, message = decode(data)
    except Poison:
        return
    assert decode(encode(message, traceparent=envelope.traceparent))[1] == message
