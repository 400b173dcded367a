"""The template of files of teams: their columns, and the limits for their cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from collect.jobs.template import Template

TEMPLATE = Template.model_validate(
    {
        "key": ["team_name"],
        "columns": [
            {"name": "team_name", "type": "string"},
            {"name": "description", "type": "string"},
            {"name": "country_code", "type": "string"},
            {"name": "manager_phone", "type": "string"},
            {"name": "member_phones", "type": "string"},
            {"name": "form_ids", "type": "string"},
        ],
    }
)

FIELDS = {
    "team_name": "team_name",
    "description": "description",
    "manager_phone": "managers",
    "member_phones": "members",
    "form_ids": "form_ids",
}
"""Column of the file → field of a team. ``country_code`` is no field: it completes the phone numbers of its row."""

NOTHING_SAID: Mapping[str, Any] = {
    "team_name": None,
    "description": None,
    "managers": [],
    "members": [],
    "form_ids": [],
}
"""Each field of a team with its empty value, for a row that says nothing about the field."""

MOST_NAME_CHARACTERS = 200
MOST_MANAGERS = 10
MOST_MEMBERS = 1_000
MOST_FORMS = 100
