"""What a storm's exports take: a form with responses in each organisation, and what people want of them."""

from __future__ import annotations

from typing import Any

from collect.admin.sending import send
from collect.demo import responses, survey
from collect.storage.database import Database

ROWS = 50_000
"""Three parts, and about six chunks."""
FORMATS = ("csv", "csv.gz", "jsonl", "parquet")
WISHES: tuple[dict[str, Any], ...] = (
    {"form_id": survey.FORM_ID},
    {
        "form_id": survey.FORM_ID,
        "from_date": "2016-01-01",
        "filters": [{"field": "age", "op": "lt", "value": 40}],
        "columns": ["response_id", "submitted_at", "age", "respondent_name"],
    },
)


def seed(db: Database, *, org_id: str) -> None:
    """Store the organisation's responses, all of them older than any export."""
    first = responses.prepare(db, org_id=org_id)
    batch = responses.Batch(org_id=org_id, rows=ROWS, first=first)
    send(db.responses, responses.blocks(batch), report=lambda *_: None)
