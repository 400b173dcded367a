"""Metrics are a closed list that the documentation has; log events are constants with fields."""

import ast
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from collect.observability import metrics

ROOT = Path(__file__).resolve().parent.parent.parent
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
EVENT = re.compile(r"[a-z][a-z0-9_]+")
TAKEN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def defined() -> list[MetricWrapperBase]:
    return [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]


def documented() -> dict[str, tuple[str, str]]:
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+)` \| (\w+) \| ([^|]*) \|", text, re.MULTILINE)
    return {name: (kind, labels.strip()) for name, kind, labels in rows}


def full_name(metric: MetricWrapperBase) -> str:
    return f"{metric._name}_total" if metric._type == "counter" else metric._name


def test_every_metric_is_on_the_list() -> None:
    assert {id(metric) for metric in defined()} == {id(metric) for metric in metrics.ALL}


def test_the_documentation_has_every_metric_and_no_other() -> None:
    assert documented() == {
        full_name(metric): (metric._type, ", ".join(f"`{label}`" for label in metric._labelnames))
        for metric in metrics.ALL
    }


def test_every_name_says_its_project_and_every_histogram_its_unit() -> None:
    for metric in metrics.ALL:
        assert metric._name.startswith("collect_")
        if metric._type == "histogram":
            assert metric._name.endswith("_seconds")


def test_no_metric_has_a_label_without_bounds() -> None:
    assert not {"job", "job_id", "org", "org_id", "part", "worker"} & {
        label for metric in metrics.ALL for label in metric._labelnames
    }


def log_calls() -> Iterator[tuple[str, ast.Call]]:
    for folder in ("shared", "services"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in LEVELS
                    and isinstance(node.func.value, ast.Name)
                    and node.func.value.id == "_log"
                ):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def fields(call: ast.Call) -> list[str]:
    extras = [keyword.value for keyword in call.keywords if keyword.arg == "extra"]
    return [
        str(key.value)
        for extra in extras
        if isinstance(extra, ast.Dict)
        for key in extra.keys
        if isinstance(key, ast.Constant)
    ]


def test_every_event_is_a_constant_and_what_varies_is_a_field() -> None:
    calls = list(log_calls())
    assert calls
    for where, call in calls:
        (event,) = call.args
        assert isinstance(event, ast.Constant), where
        assert EVENT.fullmatch(str(event.value)), where


def test_no_field_has_a_name_that_logging_keeps_for_itself() -> None:
    # It raises KeyError at the call, in the very moment that something is worth saying.
    assert {where: fields(call) for where, call in log_calls() if TAKEN & set(fields(call))} == {}
