"""Read the collections ``teams`` and ``members``. Only teams jobs write them.

A team is a document of ``teams``; it lists the phones of its managers and members. A person is a document of
``members``, identified by phone.
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
"""The roles that a person can have in a team."""
ASKED_AT_ONCE = 2_000
"""Most values in one ``$in``. They make a query of about 100 kB."""
_LAST_BEFORE_SURROGATES, _FIRST_BEHIND_SURROGATES = "\ud7ff", "\ue000"
_LAST = "\U0010ffff"


def lock_name(*, org_id: str) -> str:
    """Return the name of the lock that every teams job of the organisation holds.

    There is one lock for all teams, because any two teams can have the same people.
    """
    return f"{org_id}:teams"


def holder(db: Database, *, org_id: str) -> str | None:
    """Return the id of the job that holds the lock of the organisation's teams, or ``None``."""
    lock = db.locks.find_one({"_id": lock_name(org_id=org_id)})
    return lock["queue"][0] if lock and lock["queue"] else None


def team_id(*, org_id: str, name: str) -> str:
    """Return the ``_id`` of the team with this name."""
    return f"{org_id}{KEY_SEPARATOR}{name}"


def member_id(*, org_id: str, phone: str) -> str:
    """Return the ``_id`` of the person with this phone (in E.164)."""
    return f"{org_id}{KEY_SEPARATOR}{phone}"


def get(db: Database, *, org_id: str, name: str) -> Document:
    """Return the team with this name.

    Raises:
        NotFound: the organisation has no such team.
    """
    document = db.teams.find_one({"_id": team_id(org_id=org_id, name=name), "org_id": org_id})
    if document is None:
        raise NotFound(f"There is no team {name!r}.")
    return document


def page(
    db: Database, *, org_id: str, prefix: str = "", limit: int, after: str | None = None
) -> tuple[list[Document], str | None]:
    """Return one page of the teams whose names begin with exactly ``prefix``, in the order of their names.

    The page begins after the ``_id`` ``after``. The second value is the ``after`` of the next page, or ``None``.
    """
    among: dict[str, Any] = _beginning(team_id(org_id=org_id, name=prefix))
    if after is not None:
        among["$gt"] = after
    found = list(db.teams.find({"_id": among, "org_id": org_id}).sort("_id", ASCENDING).limit(limit + 1))
    return found[:limit], found[limit - 1]["_id"] if len(found) > limit else None


def stored(
    db: Database, *, org_id: str, names: Iterable[str], session: ClientSession | None = None
) -> dict[str, Document]:
    """Return name → values, for those of the named teams that exist."""
    ids = (team_id(org_id=org_id, name=name) for name in names)
    return {
        document["values"]["team_name"]: document["values"]
        for some in _in_lots(ids)
        for document in db.teams.find({"_id": {"$in": some}, "org_id": org_id}, {"values": 1}, session=session)
    }


def marks(db: Database, *, org_id: str, names: Iterable[str]) -> dict[str, Document]:
    """Return name → the document with `row`, `written_by` and `values`, for those of the named teams that exist."""
    prefix = team_id(org_id=org_id, name="")
    fields = {"row": 1, "written_by": 1, "values": 1}
    return {
        document["_id"].removeprefix(prefix): document
        for some in _in_lots(prefix + name for name in names)
        for document in db.teams.find({"_id": {"$in": some}, "org_id": org_id}, fields)
    }


def names(db: Database, *, org_id: str, most: int) -> list[str] | None:
    """Return the name of every team; ``None`` if there are more than ``most``. Reads only the index of ``_id``."""
    prefix = team_id(org_id=org_id, name="")
    ids = db.teams.find({"_id": _beginning(prefix)}, {"_id": 1}).hint("_id_").limit(most + 1)
    found = [document["_id"] for document in ids]
    return None if len(found) > most else [id_.removeprefix(prefix) for id_ in found]


def known(db: Database, *, org_id: str, phones: Iterable[str], session: ClientSession | None = None) -> set[str]:
    """Return those of these phones (in E.164) that a stored person has. Reads only the index of ``_id``."""
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
    """Return phone (in E.164) → the sorted names of the teams that have it as a manager or member.

    A phone that is in no team is left out. ``not_of_job``: teams that carry a mark of this job do not count. Each
    2,000 phones take two queries, one for each role, with an index for each.
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
    """Return what :func:`of_phones` returns, but only for teams whose names are not in ``names``.

    If ``names`` has nearly all teams, only the few other teams are read.
    """
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
    """Count the teams and the people that carry a mark of the job."""
    query = {
        "_id": _beginning(team_id(org_id=org_id, name="")),
        "org_id": org_id,
        "written_by": _marks_of(job_id),
    }
    return db.teams.count_documents(query), db.members.count_documents(query)


def _marks_of(job_id: str) -> dict[str, str]:
    """Return the range that has all ledger entries of a job: ``;`` is the next character after ``:``."""
    return {"$gte": f"{job_id}:", "$lt": f"{job_id};"}


def _beginning(prefix: str) -> dict[str, str]:
    """Return the range of all texts that begin with ``prefix``, which must not be empty.

    A range needs no escaping, unlike a regular expression. MongoDB orders texts by their UTF-8 bytes, which is the
    order of their code points.
    """
    head = prefix.rstrip(_LAST)
    last = _FIRST_BEHIND_SURROGATES if head[-1] == _LAST_BEFORE_SURROGATES else chr(ord(head[-1]) + 1)
    return {"$gte": prefix, "$lt": head[:-1] + last}


def _in_lots(values: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(values)
    while some := list(islice(rest, ASKED_AT_ONCE)):
        yield some
