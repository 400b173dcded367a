"""Teams, and the people who are their managers and members. Written by teams jobs alone.

A team is a document of ``teams`` with all its links; a person is one of ``members``, known by their phone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any

from pymongo import ASCENDING
from pymongo.client_session import ClientSession

from collect.errors import NotFound
from collect.jobs.template import KEY_SEPARATOR
from collect.storage.database import Database, Document

ROLES = ("managers", "members")
"""What a person can be to a team."""
ASKED_AT_ONCE = 2_000
"""Values of one ``$in``: a query of some 100 kB."""
_LAST_BEFORE_SURROGATES, _FIRST_BEHIND_SURROGATES = "\ud7ff", "\ue000"
_LAST = "\U0010ffff"


def lock_name(*, org_id: str) -> str:
    """The lock that every teams job of the organisation holds, since any two of them may have people in common."""
    return f"{org_id}:teams"


def holder(db: Database, *, org_id: str) -> str | None:
    """The job that holds the organisation's teams."""
    lock = db.locks.find_one({"_id": lock_name(org_id=org_id)})
    return lock["queue"][0] if lock and lock["queue"] else None


def team_id(*, org_id: str, name: str) -> str:
    """The ``_id`` of the team of this name."""
    return f"{org_id}{KEY_SEPARATOR}{name}"


def member_id(*, org_id: str, phone: str) -> str:
    """The ``_id`` of the person with this phone, which is in E.164."""
    return f"{org_id}{KEY_SEPARATOR}{phone}"


def get(db: Database, *, org_id: str, name: str) -> Document:
    """The team of this name.

    Raises:
        NotFound: the organisation has none.
    """
    document = db.teams.find_one({"_id": team_id(org_id=org_id, name=name), "org_id": org_id})
    if document is None:
        raise NotFound(f"There is no team {name!r}.")
    return document


def page(
    db: Database, *, org_id: str, prefix: str = "", limit: int, after: str | None = None
) -> tuple[list[Document], str | None]:
    """Teams whose names begin with ``prefix``, letter by letter, in the order of their names.

    From those behind the ``_id`` ``after``; and the id to go on after, if there are more.
    """
    among: dict[str, Any] = _beginning(team_id(org_id=org_id, name=prefix))
    if after is not None:
        among["$gt"] = after
    found = list(db.teams.find({"_id": among, "org_id": org_id}).sort("_id", ASCENDING).limit(limit + 1))
    return found[:limit], found[limit - 1]["_id"] if len(found) > limit else None


def stored(
    db: Database, *, org_id: str, names: Iterable[str], session: ClientSession | None = None
) -> dict[str, Document]:
    """The values of those teams that are there, by name."""
    ids = (team_id(org_id=org_id, name=name) for name in names)
    return {
        document["values"]["team_name"]: document["values"]
        for some in _in_lots(ids)
        for document in db.teams.find({"_id": {"$in": some}, "org_id": org_id}, {"values": 1}, session=session)
    }


def marks(db: Database, *, org_id: str, names: Iterable[str]) -> dict[str, Document]:
    """Return name → `row`, `written_by` and `values` of those teams that are there."""
    prefix = team_id(org_id=org_id, name="")
    fields = {"row": 1, "written_by": 1, "values": 1}
    return {
        document["_id"].removeprefix(prefix): document
        for some in _in_lots(prefix + name for name in names)
        for document in db.teams.find({"_id": {"$in": some}, "org_id": org_id}, fields)
    }


def names(db: Database, *, org_id: str, most: int) -> list[str] | None:
    """Return the name of every team; ``None`` when there are more than ``most``. Reads the index of ids alone."""
    prefix = team_id(org_id=org_id, name="")
    ids = db.teams.find({"_id": _beginning(prefix)}, {"_id": 1}).hint("_id_").limit(most + 1)
    found = [document["_id"] for document in ids]
    return None if len(found) > most else [id_.removeprefix(prefix) for id_ in found]


def known(db: Database, *, org_id: str, phones: Iterable[str], session: ClientSession | None = None) -> set[str]:
    """Those of these phones (E.164) that belong to somebody. Reads the index of ids alone."""
    prefix = member_id(org_id=org_id, phone="")
    ids = (prefix + phone for phone in phones)
    return {
        document["_id"].removeprefix(prefix)
        for some in _in_lots(ids)
        for document in db.members.find({"_id": {"$in": some}}, {"_id": 1}, session=session).hint("_id_")
    }


def of_phones(
    db: Database,
    *,
    org_id: str,
    phones: Iterable[str],
    session: ClientSession | None = None,
    not_of_job: str | None = None,
) -> dict[str, list[str]]:
    """Phone (E.164) → the names of the teams whose manager or member it is, in order. Phones of no team are left out.

    ``not_of_job``: teams that this job has marked do not count. Two queries for some thousands of phones, each in its
    own index.
    """
    others = {} if not_of_job is None else {"written_by": {"$not": _marks_of(not_of_job)}}
    found: dict[str, set[str]] = {}
    for some in _in_lots(phones):
        wanted = set(some)
        for role in ROLES:
            query = {"org_id": org_id, f"values.{role}": {"$in": some}, **others}
            for document in db.teams.find(query, {"values.team_name": 1, f"values.{role}": 1}, session=session):
                for phone in wanted.intersection(document["values"][role]):
                    found.setdefault(phone, set()).add(document["values"]["team_name"])
    return {phone: sorted(names) for phone, names in found.items()}


def elsewhere(db: Database, *, org_id: str, phones: AbstractSet[str], names: Iterable[str]) -> dict[str, list[str]]:
    """As :func:`of_phones`, of teams that have none of these names. Few are read when nearly all teams are named."""
    prefix = team_id(org_id=org_id, name="")
    those = {prefix + name for name in names}
    all_ids = db.teams.find({"_id": _beginning(prefix)}, {"_id": 1}).hint("_id_").limit(len(those) + len(phones) + 1)
    others = [document["_id"] for document in all_ids if document["_id"] not in those]
    if len(others) > len(phones):
        linked = of_phones(db, org_id=org_id, phones=phones)
        left = {phone: [name for name in there if prefix + name not in those] for phone, there in linked.items()}
        return {phone: there for phone, there in left.items() if there}
    found: dict[str, list[str]] = {}
    for some in _in_lots(others):
        for document in db.teams.find({"_id": {"$in": some}}, {"values": 1}).sort("_id", ASCENDING):
            values = document["values"]
            for phone in phones & {phone for role in ROLES for phone in values[role]}:
                found.setdefault(phone, []).append(values["team_name"])
    return found


def marked(db: Database, *, org_id: str, job_id: str) -> tuple[int, int]:
    """How many teams and how many people carry a mark of the job, counted."""
    query = {
        "_id": _beginning(team_id(org_id=org_id, name="")),
        "org_id": org_id,
        "written_by": _marks_of(job_id),
    }
    return db.teams.count_documents(query), db.members.count_documents(query)


def _marks_of(job_id: str) -> dict[str, str]:
    """Ledger entries of a job: a semicolon comes right behind the colon."""
    return {"$gte": f"{job_id}:", "$lt": f"{job_id};"}


def _beginning(prefix: str) -> dict[str, str]:
    """The range of all texts that begin with ``prefix``, which is not empty; a pattern would have to be escaped.

    MongoDB orders texts by their UTF-8, which is the order of their code points.
    """
    head = prefix.rstrip(_LAST)
    last = _FIRST_BEHIND_SURROGATES if head[-1] == _LAST_BEFORE_SURROGATES else chr(ord(head[-1]) + 1)
    return {"$gte": prefix, "$lt": head[:-1] + last}


def _in_lots(values: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(values)
    while some := list(islice(rest, ASKED_AT_ONCE)):
        yield some
