import re
import subprocess
import sys
import threading
from pathlib import Path

from e2e.shell import Town

DEMO = Path(__file__).resolve().parents[2] / "scripts" / "demo.py"
ROWS = 20_000


def command(town: Town, folder: Path) -> list[str]:
    values = {**town.stores, **town.keys, "COLLECT_URL": town.system.url}
    env_file = folder / "demo.env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    where = ["--env-file", str(env_file), "--folder", str(folder / "demo")]
    return [sys.executable, str(DEMO), "--rows", str(ROWS), *where]


def test_the_story_holds_and_can_be_told_again(town: Town, tmp_path: Path) -> None:
    for _ in range(2):
        told = subprocess.run(command(town, tmp_path), capture_output=True, text=True, timeout=120, check=False)

        assert told.returncode == 0, told.stdout + told.stderr
        assert re.search(r"rows written since +0$", told.stdout, re.MULTILINE)
        assert "Every check held" in told.stdout

    assert town.db.rows.count_documents({"org_id": "labs"}) == 5_000 + ROWS


def test_a_row_that_somebody_slips_in_makes_the_story_fail(town: Town, tmp_path: Path) -> None:
    with subprocess.Popen(command(town, tmp_path), stdout=subprocess.PIPE, text=True) as demo:
        watchdog = threading.Timer(120, demo.kill)
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
