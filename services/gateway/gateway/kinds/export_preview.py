"""The preview of an export: its size and its warnings; and the decision whether it waits for a confirmation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import log10

from collect.api.answers import Warning
from collect.api.previews import ExportPreview
from collect.exporting import formats
from collect.exporting.selection import Selection
from collect.exporting.splitting import MOST_CHOICES
from collect.jobs.forms import FormField
from collect.jobs.model import Confirm, Reason
from collect.storage import estimates, usual_range
from collect.storage.choices import Found
from collect.storage.estimates import EXACT_ROWS, MATCH_SECONDS, Estimate
from gateway.kinds.kind import Asker

ROWS_PER_SECOND = 200_000
"""Rows read in a second, for a preview's estimate: one worker of two slots on a small machine (docs/figures.md)."""
SAMPLED_PLACES = 20
SAMPLED_ROWS = 200
MOST_NAMED = 10
"""Most names of fields that a message lists."""
CONFIRM_OR_STOP = "Confirm it when that many are wanted; otherwise stop it, and ask for another range."


def preview(asker: Asker, chosen: Selection, confirm: Confirm, choices: Found) -> ExportPreview:
    """Return the preview of the export: rows, bytes, seconds, warnings and columns."""
    found = estimates.estimate(asker.db, chosen)
    unusual = _unusual(asker, chosen, found)
    size, left_out = _sampled(asker, chosen, found.rows)
    over = found.rows > asker.organisation.limits.confirm_threshold_rows
    return ExportPreview(
        ok=True,
        total_rows=found.rows,
        exact=found.exact,
        bytes=size,
        seconds=round(found.in_range / ROWS_PER_SECOND, 1),
        confirm_required=confirm == "always" or (confirm == "auto" and over),
        warnings=[*([unusual] if unusual else []), *left_out, *_not_split(choices)],
        errors=[],
        conflict=None,
        columns=[FormField(name=field.name, type=field.type) for field in chosen.written],
    )


def gate(asker: Asker, chosen: Selection, confirm: Confirm) -> Reason | None:
    """Return the reason why the export waits for a confirmation, or ``None`` if it need not. Quick when it need not."""
    if confirm == "never":
        return None
    threshold = asker.organisation.limits.confirm_threshold_rows
    found = _over(asker, chosen, threshold) if confirm == "auto" else estimates.estimate(asker.db, chosen)
    if found is None:
        return None
    limit = f"the threshold is {threshold:,}" if confirm == "auto" else "a confirmation was asked for"
    message = f"{_rows(found)} would be exported; {limit}."
    unusual = _unusual(asker, chosen, found)
    hint = f"{unusual.message} {CONFIRM_OR_STOP}" if unusual else CONFIRM_OR_STOP
    return Reason(code="confirmation_required", message=message, hint=hint)


def _over(asker: Asker, chosen: Selection, threshold: int) -> Estimate | None:
    """Return an estimate of the rows if they are more than ``threshold``, else ``None``.

    Counts only as far as is needed to decide that.
    """
    if threshold >= EXACT_ROWS:
        found = estimates.estimate(asker.db, chosen)
        return found if found.rows > threshold else None
    counted = estimates.count(asker.db, chosen, most=threshold + 1, filtered=False)
    if counted is not None and counted <= threshold:
        return None
    if chosen.match:
        counted = estimates.count(asker.db, chosen, most=threshold + 1, seconds=MATCH_SECONDS)
        if counted is not None and counted <= threshold:
            return None
    in_vain = counted is None
    found = estimates.estimate(asker.db, chosen, match_seconds=0.0 if in_vain else MATCH_SECONDS)
    if in_vain:
        return found if found.rows > threshold else None
    return replace(found, rows=max(found.rows, threshold + 1))


def _unusual(asker: Asker, chosen: Selection, found: Estimate) -> Warning | None:
    """Return a warning if the dates select far more rows than this key usually asks for. Filters are not considered."""
    usual = usual_range.usual(asker.db, org_id=asker.org_id, key_id=asker.key_id, form_id=chosen.form_id)
    if usual is None or not usual.is_far_below(found.in_range):
        return None
    dates = " ".join(f"{word} {usual.dates[name]}" for name, word in _WORDS.items() if usual.dates[name] is not None)
    message = (
        f"Between these dates lie about {_rounded(found.in_range):,} responses; this key usually asks for about "
        f"{_rounded(round(usual.rows)):,} of this form{f', {dates}' if dates else ''}."
    )
    return Warning(code="range_unusual", message=message, suggestion=usual.dates)


def _sampled(asker: Asker, chosen: Selection, rows: int) -> tuple[int, list[Warning]]:
    """Return the size of the result in bytes, and warnings of fields that would be left out.

    Both come from sampled responses of the whole range.
    """
    raw, sampled = estimates.samples(asker.db, chosen, places=SAMPLED_PLACES, rows=SAMPLED_ROWS)
    empty, made = len(formats.render(chosen, []).data), formats.render(chosen, [raw])
    each = (len(made.data) - empty) / max(1, sampled)
    size = len(formats.header(chosen)) + empty + round(each * rows)
    return size, [_left_out(made.left_out, sampled)] if made.left_out else []


def _left_out(fields: Mapping[str, int], sampled: int) -> Warning:
    names = sorted(fields)[:MOST_NAMED]
    message = (
        f"Of {sampled:,} responses that were looked at, some have values of fields that the form has no more: "
        f"{', '.join(names)}{'' if len(fields) <= MOST_NAMED else ', …'}. They are left out."
    )
    return Warning(code="fields_left_out", message=message, columns=names, evidence=dict(fields))


def _not_split(choices: Found) -> list[Warning]:
    if not choices.too_many and choices.exact:
        return []
    names = ", ".join(choices.too_many)
    many = f"More than {MOST_CHOICES} different choices were found in {names}, which stay as they are. "
    some = "The range is large, so that choices were looked for in some responses only. "
    kept = "Each answer stands whole in the column of its field."
    message = f"{many if choices.too_many else ''}{'' if choices.exact else some}{kept}"
    return [Warning(code="choices_not_split", message=message, columns=list(choices.too_many))]


def _rows(found: Estimate) -> str:
    return f"{found.rows:,} rows" if found.exact else f"About {_rounded(found.rows):,} rows"


def _rounded(rows: int) -> int:
    """Return the number rounded to two digits: an estimate is not more exact than that."""
    return round(rows, 1 - int(log10(rows))) if rows >= 100 else rows


_WORDS = {"from_date": "from", "to_date": "to"}
