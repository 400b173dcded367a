"""What downloads are called: by the form and the dates that were asked for, so that a folder of them can be read."""

from __future__ import annotations

import re

from collect.jobs.model import Job

_UNFIT = re.compile(r"[^\w.-]+")


def of_result(job: Job) -> str:
    """``household-survey-2017-08-01-2018-01-01.csv``; what was stopped says ``partial``."""
    words = [_of_params(job), *([] if (job.result or {})["complete"] else ["partial"])]
    return f"{'-'.join(words)}{_suffix(job)}"


def of_part(job: Job, n: int) -> str:
    """The same with the part's number."""
    return f"{_of_params(job)}-part-{n}{_suffix(job)}"


def _of_params(job: Job) -> str:
    dates = [_date(job.params.get("from_date")), _date(job.params.get("to_date"))]
    words = [str(job.params.get("form_id") or "export"), *[date for date in dates if date]]
    return _UNFIT.sub("-", "-".join(words)).strip("-.") or "export"


def _date(text: object) -> str:
    """Of a time the day; its zone is in the params."""
    return str(text)[:10] if text else ""


def _suffix(job: Job) -> str:
    return f".{(job.result or {})['format']}"
