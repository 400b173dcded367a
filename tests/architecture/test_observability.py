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
MAKER = re.compile(r"from prometheus_client import .*\b(Counter|Gauge|Histogram|Summary)\b")
TAKEN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def defined() -> list[MetricWrapperBase]:
    return [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]


def code() -> Iterator[Path]:
    for folder in ("shared", "services"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def documented() -> dict[str, tuple[str, str]]:
    text = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(collect_[a-z_]+)` \| (\w+) \| ([^|]*) \|", text, re.MULTILINE)
    return {name: (kind, labels.strip()) for name, kind, labels in rows}


def full_name(metric: MetricWrapperBase) -> str:
    return f"{metric._name}_total" if metric._type == "counter" else metric._name


def test_every_metric_is_on_the_list() -> None:
    assert {id(metric) for metric in defined()} == {id(metric) for metric in metrics.ALL}


def test_no_metric_is_made_beside_the_list() -> None:
    list_of_all = Path(metrics.__file__)
    makers = [
        str(path.relative_to(ROOT))
        for path in code()
        if path != list_of_all and MAKER.search(path.read_text(encoding="utf-8"))
    ]
    assert makers == []


def test_every_metric_and_its_cause_is_explained_where_operators_read() -> None:
    text = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    assert [metric._name for metric in metrics.ALL if metric._documentation not in text] == []


def attributes_of_spans() -> set[str]:
    pattern = re.compile(r'"((?:collect|http)\.[a-z_.]+)"')
    return {
        name
        for path in code()
        if "span" in (text := path.read_text(encoding="utf-8"))
        for name in pattern.findall(text)
    }


def test_every_attribute_of_a_span_is_documented() -> None:
    text = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    assert attributes_of_spans()
    assert {name for name in attributes_of_spans() if f"`{name}`" not in text} == set()


def test_every_event_that_calls_for_somebody_is_documented_and_none_that_there_is_not() -> None:
    text = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `([a-z_]+)` \| (?:warning|error|critical) \|", text, re.MULTILINE))
    calling = {
        str(call.args[0].value)
        for _, call in log_calls()
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in {"error", "critical", "exception"}
        and isinstance(call.args[0], ast.Constant)
    }
    assert explained == calling


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
    for path in code():
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
