"""Teams, with their managers and members."""

from __future__ import annotations

import unicodedata

from flask_openapi3 import APIBlueprint, Tag
from werkzeug.routing import BaseConverter

from collect.api.answers import Page
from collect.api.data import Person, Team
from collect.storage import teams
from collect.storage.database import Document
from collect.teams.names import name_of
from gateway.http.auth import caller
from gateway.schemas.pages import page, place
from gateway.schemas.requests import TeamPath, TeamsQuery
from gateway.services import services

blueprint = APIBlueprint("teams", __name__, url_prefix="/v1/teams", abp_tags=[Tag(name="teams")])


class AnyText(BaseConverter):
    """The rest of a path whatever it is: a team's name may begin with a slash, which Flask's `path` does not take."""

    part_isolating = False
    regex = r"(?s:.+)"


@blueprint.get("")
def show_all(query: TeamsQuery) -> Page[Team]:
    """List teams.

    In the order of their names. `name` is what the names begin with.
    """
    after, org_id = place(query, str), caller().org_id
    prefix = unicodedata.normalize("NFC", query.name)
    stored, following = teams.page(services().db, org_id=org_id, prefix=prefix, limit=query.limit, after=after)
    return page([_answer(team) for team in stored], following)


@blueprint.get("/<text:name>")
def show(path: TeamPath) -> Team:
    """Show a team.

    A name may hold slashes. Letters may be composed in any Unicode form, as in a file.
    """
    return _answer(teams.get(services().db, org_id=caller().org_id, name=name_of(path.name)))


def _answer(team: Document) -> Team:
    values = team["values"]
    return Team(
        name=values["team_name"],
        description=values["description"],
        **{role: [Person(phone=phone) for phone in values[role]] for role in teams.ROLES},
        form_ids=values["form_ids"],
        written_by=team["written_by"],
        revision=team["revision"],
    )
