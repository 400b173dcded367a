"""What operators are told about settings is what the services read."""

import re
from pathlib import Path

from collect.settings import WorkerProcessSettings
from gateway.settings import GatewaySettings
from monitor.settings import MonitorSettings

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
