import re
import subprocess
import sys
import threading
from pathlib import Path

from e2e.shell import Town

DEMO = Path(__file__).resolve().parents[2] / "scripts" / "demo.py"
ROWS = 20_000
RESPONSES = 110_000
"""More than the demo's organisations may export without being asked again."""
TEAMS = 1_000


def command(town: Town, folder: Path) -> list[str]:
    values = {**town.stores, **town.keys, "COLLECT_URL": town.system.url}
    env_file = folder / "demo.env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    where = ["--env-file", str(env_file), "--folder", str(folder / "demo")]
    much = ["--rows", str(ROWS), "--responses", str(RESPONSES), "--teams", str(TEAMS)]
    return [sys.executable, str(DEMO), *much, *where]


def test_the_story_holds_and_can_be_told_again(town: Town, tmp_path: Path) -> None:
    for _ in range(2):
        told = subprocess.run(command(town, tmp_path), capture_output=True, text=True, timeout=180, check=False)

        assert told.returncode == 0, told.stdout + told.stderr
        assert re.search(r"rows written since +0$", told.stdout, re.MULTILINE)
        assert "it is caught: nothing runs until it is confirmed" in told.stdout
        assert "11,000 rows, each as the query gives it" in told.stdout
        assert "teams and people are document for document what they were" in told.stdout
        assert "1,000 of 1,000 teams have the manager that the right list names" in told.stdout
        assert "Every check held" in told.stdout

    assert town.db.rows.count_documents({"org_id": "labs"}) == 5_000 + ROWS


def test_a_row_that_somebody_slips_in_makes_the_story_fail(town: Town, tmp_path: Path) -> None:
    with subprocess.Popen(command(town, tmp_path), stdout=subprocess.PIPE, text=True) as demo:
        watchdog = threading.Timer(180, demo.kill)
        watchdog.start()
        assert demo.stdout is not None
        said = ""
        for line in demo.stdout:
            said += line
            if ". Resume" in line:
                stranger = {"_id": "labs|baseline|stranger", "org_id": "labs", "dataset": "baseline"}
                town.db.rows.insert_one({**stranger, "values": {}, "row": 1, "written_by": "x:1:0", "revision": 1})
        watchdog.cancel()

    assert demo.returncode == 1
    assert "Not as it should be: the dataset is document for document what it was" in said
