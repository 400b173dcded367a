import csv
import signal
from pathlib import Path

from e2e.shell import BIN, Terminal, Town

SLOW = ("--max-rows-per-second", 2_000)


def test_a_file_with_some_bad_rows_from_preview_to_corrected_rejects(town: Town, folder: Path) -> None:
    path = town.csv(folder / "a.csv", rows=3_000, first=1, rejects="1/100")

    preview = town.collect("preview", path, "--dataset", "baseline", "--json")
    done = town.collect("create", "upload", path, "--dataset", "baseline", "--reason", "Round 1", "--wait", "--json")

    job_id = done.json["id"]
    assert preview.json["total_rows"] == 3_000
    assert done.code == 0, done.err
    assert (done.json["state"], done.json["progress"]["rejected"]) == ("succeeded", 30)
    assert town.written(job_id) == 2_970

    saved = town.collect("jobs", "rejects", job_id, "-o", folder / "rejects.csv")
    assert saved.code == 0, saved.err
    with (folder / "rejects.csv").open(encoding="utf-8", newline="") as lines:
        rejects = list(csv.DictReader(lines))
    assert [int(reject["row"]) for reject in rejects] == list(range(100, 3_001, 100))
    assert {"respondent_id", "status", "code", "field", "message"} <= set(rejects[0])

    listed = town.collect("jobs", "list", "--json", "--limit", 1)
    audited = town.collect("jobs", "audit", job_id, "--json")
    assert [job["id"] for job in listed.json] == [job_id]
    assert [entry["to"] for entry in audited.json] == ["queued", "running", "succeeded"]
    assert "succeeded" in town.collect("jobs", "show", job_id).out
    assert town.collect("jobs", "parts", job_id, "--json").json[0]["status"] == "done"


def test_a_job_is_held_goes_on_and_is_taken_back_without_a_trace(town: Town, folder: Path) -> None:
    before = town.rows()
    job_id = town.upload(town.csv(folder / "b.csv", rows=20_000, first=100_001), *SLOW)
    town.until_written(job_id, 1)

    paused = town.collect("pause", job_id, "--reason", "Look first", "--json")
    written = town.written(job_id)
    unprocessed = town.collect("unprocessed", job_id, "-o", folder / "rest.csv")
    resumed = town.collect("resume", job_id, "--reason", "Go on")
    town.until_written(job_id, written + 1)
    preview = town.collect("terminate", job_id, "--reason", "Wrong file", "--preview", "--json")
    ended = town.collect("terminate", job_id, "--reason", "Wrong file", "--wait", "--json")

    assert paused.json["state"] == "paused"
    assert 0 < written < 20_000
    assert (unprocessed.code, resumed.code, ended.code) == (0, 0, 0)
    with (folder / "rest.csv").open(encoding="utf-8") as rest:
        assert sum(1 for _ in rest) == 1 + 20_000 - written
    assert preview.json["will_delete"] > written
    assert ended.json["state"] == "terminated"
    assert town.rows() == before


def test_one_command_takes_back_a_wrong_file_and_runs_the_right_one(town: Town, folder: Path) -> None:
    wrong = town.csv(folder / "wrong.csv", rows=8_000, first=200_001, swap="district,block")
    right = town.csv(folder / "right.csv", rows=8_000, first=200_001)
    mistaken = town.upload(wrong, *SLOW)
    town.until_written(mistaken, 1)

    held = town.collect("create", "upload", right, "--dataset", "baseline")
    done = town.collect(
        "create", "upload", right, "--dataset", "baseline", "--supersedes", mistaken, "--wait", "--json"
    )

    assert held.code == 3
    assert mistaken in held.err
    assert done.code == 0, done.err
    assert (town.written(mistaken), town.written(done.json["id"])) == (0, 8_000)


def test_each_refusal_ends_with_its_exit_code_and_leaves_stdout_empty(town: Town, folder: Path) -> None:
    path = town.csv(folder / "d.csv", rows=10, first=300_001)
    job_id = town.upload(path)
    assert town.collect("watch", job_id).code == 0
    not_csv = folder / "empty.csv"
    not_csv.write_bytes(b"")

    finished = town.collect("pause", job_id, "--reason", "Too late", "--json")
    others = town.collect("show", job_id, key="COLLECT_OTHER_KEY")
    town.keys["NOBODY"] = "ck_nobody_at_all"
    nobody = town.collect("list", key="NOBODY")
    empty = town.collect("create", "upload", not_csv, "--dataset", "baseline", "--wait")

    assert (finished.code, others.code, nobody.code) == (3, 5, 4)
    assert empty.code in (1, 7)
    assert '"allowed_verbs"' in finished.err
    assert finished.out == others.out == nobody.out == ""
    assert town.collect("pause", job_id).code == 2


def test_keys_on_a_terminal_pause_resume_and_terminate_the_job_on_screen(town: Town, folder: Path) -> None:
    before = town.rows()
    job_id = town.upload(town.csv(folder / "e.csv", rows=40_000, first=400_001), *SLOW)
    town.until_written(job_id, 1)

    with Terminal([str(BIN / "collect"), "watch", job_id], town.environment()) as terminal:
        terminal.expect("q leave it running")
        terminal.expect("rows/s")
        terminal.press("p")
        terminal.expect("Reason")
        terminal.press("To have a look\n")
        terminal.expect("in effect after")
        held = town.collect("show", job_id, "--json").json
        terminal.press("r")
        terminal.expect("resume by")
        terminal.press("t")
        terminal.expect("would be deleted")
        terminal.press("y\n")
        code = terminal.end()

    assert (held["state"], held["last_action"]["reason"]) == ("paused", "To have a look")
    assert code == 0
    assert town.rows() == before


def test_ctrl_c_leaves_the_job_running(town: Town, folder: Path) -> None:
    path = town.csv(folder / "f.csv", rows=6_000, first=500_001)
    with town.begin("create", "upload", path, "--dataset", "baseline", "--wait", *SLOW) as command:
        assert command.stderr is not None
        job_id = command.stderr.readline().split()[-1]
        town.until_written(job_id, 1)
        command.send_signal(signal.SIGINT)
        out, err = command.communicate(timeout=30)

    assert (command.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert town.collect("watch", job_id).code == 0
    assert town.written(job_id) == 6_000


def test_whoever_watches_sees_the_job_through_dead_workers_and_a_restarted_gateway(town: Town, folder: Path) -> None:
    job_id = town.upload(town.csv(folder / "g.csv", rows=10_000, first=600_001), *SLOW)
    with town.begin("watch", job_id, "--json") as watcher:
        town.until_written(job_id, 1)
        town.worker.kill()
        town.gateway.stop()
        town.worker = town.system.worker()
        town.gateway = town.system.gateway()
        out, err = watcher.communicate(timeout=90)

    assert watcher.returncode == 0, err
    assert '"succeeded"' in out.splitlines()[-1]
    assert "Trying again" in err
    assert town.written(job_id) == 10_000


def test_the_stores_are_sound_after_all_of_this(town: Town) -> None:
    checked = town.admin("check", "--wait", 60, "--json")

    assert (checked.code, checked.json) == (0, []), checked.err
