import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from collect.api.jobs import Job, Progress, UndoPreview
from collect.client import errors
from collect.client.api import CollectClient, NotConfigured
from collect.client.cli import words
from collect.client.cli.app import collect
from collect.client.cli.exits import MEANINGS, Exit, of_error, of_job
from collect.client.cli.parameters import Mapping, Moment, Share
from collect.client.cli.speed import Speed, clock_face
from collect.client.errors import ClientError, Problem
from unit.client.commandline import run, sent
from unit.client.scripted import Scripted, answering, job

AT = datetime(2017, 8, 1, tzinfo=UTC)
CLI_DOC = Path(__file__).resolve().parents[3] / "docs" / "cli.md"


def test_every_exit_code_has_a_meaning_and_the_docs_say_the_same() -> None:
    documented = dict(re.findall(r"^\| `(\d+)` \| (.+?) \|$", CLI_DOC.read_text(encoding="utf-8"), re.MULTILINE))

    assert set(MEANINGS) == set(Exit)
    assert documented == {str(code.value): meaning for code, meaning in MEANINGS.items()}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.NotAuthenticated, Exit.NOT_ALLOWED), (errors.NotPermitted, Exit.NOT_ALLOWED),
        (errors.Missing, Exit.NOT_FOUND), (errors.Refused, Exit.REFUSED), (errors.MovedOn, Exit.REFUSED),
        (errors.InvalidRequest, Exit.INVALID), (errors.TooMany, Exit.UNAVAILABLE),
        (errors.ServerFailed, Exit.UNAVAILABLE),
    ],
)  # fmt: skip
def test_each_refusal_has_its_exit_code(error: type[errors.ApiError], code: Exit) -> None:
    assert of_error(error(Problem(status=400))) is code


def test_what_is_not_the_gateways_answer_has_one_too() -> None:
    assert of_error(errors.Unreachable("")) is Exit.UNAVAILABLE
    assert of_error(errors.WaitedInVain("")) is Exit.OTHERWISE
    assert of_error(NotConfigured("")) is Exit.USAGE
    assert of_error(ClientError("")) is Exit.USAGE


@pytest.mark.parametrize(
    ("state", "verb", "code"),
    [
        ("succeeded", None, Exit.OK), ("failed", None, Exit.OTHERWISE), ("paused", None, Exit.OTHERWISE),
        ("terminated", None, Exit.OTHERWISE), ("terminated", "terminate", Exit.OK), ("undone", "undo", Exit.OK),
        ("undo_failed", "undo", Exit.OTHERWISE), ("succeeded", "resume", Exit.OK),
        ("succeeded", "stop", Exit.OTHERWISE),
    ],
)  # fmt: skip
def test_a_job_ends_as_wished_or_otherwise(state: str, verb: str | None, code: Exit) -> None:
    assert of_job(Job.model_validate(job(state=state)), verb=verb) is code


def commands(group: click.Group) -> Iterator[click.Command]:
    for command in group.commands.values():
        yield command
        if isinstance(command, click.Group):
            yield from commands(command)


def test_every_command_knows_json_and_documents_its_exit_codes() -> None:
    for command in commands(collect):
        assert "--json" in [option for parameter in command.params for option in parameter.opts], command.name
        assert command.epilog, command.name


def test_all_that_is_missing_is_said_at_once() -> None:
    with pytest.raises(NotConfigured, match="COLLECT_URL and COLLECT_API_KEY are not set"):
        CollectClient.from_environment({})


def test_who_holds_the_dataset_that_undo_needs_is_said() -> None:
    assert "01k" not in words.will_undo(UndoPreview(will_delete=2))
    held = words.will_undo(UndoPreview(will_delete=2, conflict={"holder": "01k"}))
    assert held.endswith("It is refused as long as job 01k holds the dataset.")


def test_speed_is_that_of_the_last_seconds_not_of_the_whole_time() -> None:
    speed = Speed()
    for second in range(60):
        speed.see(float(second), 0)
    for second in range(60, 66):
        speed.see(float(second), (second - 59) * 1000)

    assert speed.rows_per_second == pytest.approx(1000)
    assert speed.seconds_left(Progress(total=16_000, done=6_000, at=AT)) == pytest.approx(10)


def test_speed_begins_anew_when_a_job_goes_back() -> None:
    speed = Speed()
    speed.see(0, 50_000)
    speed.see(1, 0)

    assert speed.rows_per_second == 0
    assert speed.seconds_left(Progress(total=100, done=0, seconds_left=3.0, at=AT)) == 3.0


@pytest.mark.parametrize(("seconds", "face"), [(None, "-:--"), (0.4, "0:00"), (61, "1:01"), (3723, "1:02:03")])
def test_the_clock_face(seconds: float | None, face: str) -> None:
    assert clock_face(seconds) == face


def test_limits_and_mappings_are_read_as_people_write_them() -> None:
    assert Share().convert("100", None, None) == {"rows": 100}
    assert Share().convert("2.5%", None, None) == {"percent": 2.5}
    assert Mapping().convert("block=district", None, None) == ("block", "district")
    assert Mapping().convert("notes=", None, None) == ("notes", None)
    with pytest.raises(click.BadParameter):
        Share().convert("many", None, None)
    with pytest.raises(click.BadParameter):
        Mapping().convert("block", None, None)


def test_show_says_when_a_paused_job_resumes_and_a_waiting_one_starts() -> None:
    at = "2999-01-01T12:30:00.000Z"
    paused = run(Scripted(answering(200, job(state="paused", until=at))), "jobs", "show", "01kj").out
    assert re.search(r"resumes at\s+2999-01-01 12:30:00 UTC", paused)
    waiting = run(
        Scripted(answering(200, job(state="queued", start_at=at, started_at=None))), "jobs", "show", "01kj"
    ).out
    assert re.search(r"starts at\s+2999-01-01 12:30:00 UTC", waiting)
    plain = run(Scripted(answering(200, job())), "jobs", "show", "01kj").out
    assert "resumes at" not in plain
    assert "starts at" not in plain


@pytest.mark.parametrize(
    ("typed", "sent_as"),
    [
        ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00+00:00"),
        ("2030-01-01T00:00:00", "2030-01-01T00:00:00+00:00"),
        ("2030-01-01 09:30", "2030-01-01T09:30:00+00:00"),
        ("2030-01-01", "2030-01-01T00:00:00+00:00"),
        ("2030-01-01T05:30:00+05:30", "2030-01-01T05:30:00+05:30"),
    ],
)
def test_a_time_is_typed_with_its_zone_or_in_utc(typed: str, sent_as: str) -> None:
    gateway = Scripted(answering(202, job(state="paused")))
    run(gateway, "jobs", "pause", "01kj", "--reason", "x", "--until", typed)
    assert sent(gateway)["until"] == sent_as


@pytest.mark.parametrize("typed", ["tomorrow", "20300101", "2030-13-01", "2030-01-01T25:00"])
def test_what_is_no_time_is_refused(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="is no time like"):
        Moment().convert(typed, None, None)
