"""What operators are told about settings is what the services read."""

import re
from pathlib import Path

import pytest

from collect.jobs.template import Template
from collect.rows import planning
from collect.runtime import pacing
from collect.settings import WorkerProcessSettings
from gateway.settings import GatewaySettings
from monitor.settings import MonitorSettings
from support.in_memory import MemoryBlobs
from support.upload_driver import new_job

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
SETTINGS = (WorkerProcessSettings, MonitorSettings, GatewaySettings)


def test_every_setting_is_documented_and_no_other() -> None:
    table = TEXT[TEXT.index("| setting |") : TEXT.index("Several monitors")]
    names = re.findall(r"^\|([^|]+)\|", table, re.MULTILINE)
    documented = {name for cell in names for name in re.findall(r"`([A-Z_]+)`", cell)}
    read = {field.validation_alias for settings in SETTINGS for field in settings.model_fields.values()}
    assert documented == read


def test_numbers_that_are_named_as_defaults_are_the_defaults() -> None:
    said = dict(re.findall(r"^\| `([A-Z_]+)` \| (\d+) \|", TEXT, re.MULTILINE))
    read = {
        str(field.validation_alias): str(int(field.default))
        for settings in SETTINGS
        for field in settings.model_fields.values()
        if type(field.default) in (int, float) and field.validation_alias != "MONITOR_PORT"
    }
    assert said == read


def test_whoever_restores_keeps_every_writer_away_and_migrates_where_something_runs() -> None:
    restoring = TEXT[TEXT.index("To restore:") : TEXT.index("With Compose the database is")]
    steps = (
        "annotate scaledobject --selector app.kubernetes.io/instance=collect-jobs autoscaling.keda.sh/paused=true",
        "scale deployment --selector app.kubernetes.io/instance=collect-jobs --replicas=0",
        "Restore the database.",
        "helm upgrade collect-jobs",
        "autoscaling.keda.sh/paused- ",
        "`collect-admin check`",
    )
    assert [restoring.count(step) for step in steps] == [1] * len(steps)
    assert sorted(steps, key=restoring.index) == list(steps)
    assert "collect-admin migrate" not in restoring, "the toolbox is away like all the rest"


def test_new_pods_get_parts_as_soon_as_slices_end() -> None:
    assert (pacing.SLICE_SECONDS, pacing.SLICE_SECONDS_WHEN_OWN_PARTS_WAIT) == (60, 10)
    assert "as soon as a slice ends: within a minute, within ten seconds while parts wait" in TEXT


@pytest.mark.parametrize(("megabytes", "said"), [(4, "of CSV have one"), (16, "three"), (64, "seven or eight")])
def test_a_file_has_as_many_parts_as_is_said(megabytes: int, said: str) -> None:
    assert f"{megabytes} MB {said}" in TEXT.replace("\n", " ")
    template = Template.model_validate({"key": ["k"], "columns": [{"name": "k", "type": "string"}]})
    row = b"x" * 149 + b"\n"
    blobs = MemoryBlobs({"f": b"k\n" + row * (megabytes * 10**6 // len(row))})
    parts = [part for part in planning.plan(blobs, new_job(blob="f", dataset="d"), template=template) if part]
    numbers = {1: "one", 3: "three", 7: "seven", 8: "eight"}
    assert numbers[len(parts)] in said
