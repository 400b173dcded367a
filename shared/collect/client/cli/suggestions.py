"""The suggestions of a preview: shown as options of the command, or applied by ``--apply-suggestions``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from collect.client.cli import file_options
from collect.client.cli.console import Shell

HOW_COLUMNS_ARE_READ = frozenset({"column_map", "column_shift"})
"""The params that say which cells belong to which column. ``--apply-suggestions`` changes only these."""


def is_applicable(suggestion: Mapping[str, Any] | None) -> bool:
    """Return whether ``--apply-suggestions`` applies the suggestion."""
    return bool(suggestion) and HOW_COLUMNS_ARE_READ.issuperset(suggestion or ())


def applied(shell: Shell, kind: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params with the suggestions of their preview for columns. Prints each change."""
    changed = dict(params)
    for notice in shell.client.jobs.preview(kind, params).warnings:
        if notice.suggestion is not None and is_applicable(notice.suggestion):
            changed = merged(changed, notice.suggestion)
            shell.say(f"{notice.message}\nApplied: {options(notice.suggestion)}")
    if changed == params:
        shell.say("The preview has no suggestions for columns.")
    return changed


def merged(params: Mapping[str, Any], suggestion: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params with a suggestion merged into them. Headers and columns that it does not name stay."""
    result = dict(params)
    for name, value in suggestion.items():
        old = result.get(name)
        result[name] = {**old, **value} if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def options(suggestion: Mapping[str, Any]) -> str:
    """Return the options of the command that apply a suggestion, quoted for a shell."""
    return shlex.join(word for name, value in suggestion.items() for word in _words(name, value))


def _words(name: str, value: Any) -> Iterator[str]:
    match name:
        case "column_map" | "column_shift":
            for left, right in value.items():
                yield f"--{name.replace('_', '-')}"
                yield f"{left}={'' if right is None else right}"
        case "from_date" | "to_date":
            if value is not None:
                yield f"--{name.removesuffix('_date')}"
                yield str(value)
        case _:
            typed = file_options.words(name, value)
            yield from ("--params", json.dumps({name: value}, ensure_ascii=False)) if typed is None else typed
