"""Datasets: their templates, and their rows."""

from __future__ import annotations

from collections.abc import Sequence

from flask_openapi3 import APIBlueprint, Tag
from pydantic import TypeAdapter, ValidationError

from collect.api.answers import Page
from collect.api.data import Dataset, Row
from collect.errors import FieldError, InvalidInput
from collect.jobs.template import DatasetName, Template
from collect.storage import datasets
from collect.storage.database import Document, Transaction, transact
from gateway.http.answering import JSON, answering
from gateway.http.auth import caller, needs
from gateway.schemas.pages import page, place
from gateway.schemas.requests import DatasetPath, RowsQuery
from gateway.services import services

blueprint = APIBlueprint("datasets", __name__, url_prefix="/v1/datasets", abp_tags=[Tag(name="datasets")])


@blueprint.get("/<name>")
def show(path: DatasetPath) -> Dataset:
    """Show a dataset.

    Its template, the job that holds it, and how many rows it has.
    """
    return _answer(path.name, datasets.get(services().db, org_id=caller().org_id, name=path.name))


@blueprint.put("/<name>")
@needs("admin")
@answering({JSON: Dataset}, 200, 201)
def put(path: DatasetPath, body: Template) -> tuple[Dataset, int]:
    """Create a dataset or change its template.

    Refused while a job holds the dataset.
    """
    _check_name(path.name)
    org_id = caller().org_id

    def work(tx: Transaction) -> bool:
        return datasets.put(tx, org_id=org_id, name=path.name, template=body)

    created = transact(services().db, work).value
    return _answer(path.name, body), 201 if created else 200


@blueprint.get("/<name>/rows")
def rows(path: DatasetPath, query: RowsQuery) -> Page[Row]:
    """List the rows of a dataset.

    In the order of their keys. `key` gives one row; with a composite key, give it once for each column.
    """
    db, org_id = services().db, caller().org_id
    template = datasets.get(db, org_id=org_id, name=path.name)
    if query.key is not None:
        if len(query.key) != len(template.key):
            error = FieldError("key", "wrong_number", f"The key has {len(template.key)} column(s).")
            raise InvalidInput(error.message, errors=[error])
        return _page(datasets.find(db, org_id=org_id, name=path.name, key=query.key), None)
    stored, following = datasets.rows(db, org_id=org_id, name=path.name, limit=query.limit, after=place(query, str))
    return _page(stored, following)


def _page(rows: Sequence[Document], following: str | None) -> Page[Row]:
    return page([Row.model_validate(row) for row in rows], following)


def _check_name(name: str) -> None:
    try:
        TypeAdapter(DatasetName).validate_python(name)
    except ValidationError as error:
        wrong = FieldError("name", "bad_name", "A dataset's name has a-z, 0-9, _ and -, and begins with a letter.")
        raise InvalidInput(wrong.message, errors=[wrong]) from error


def _answer(name: str, template: Template) -> Dataset:
    db, org_id = services().db, caller().org_id
    return Dataset(
        name=name,
        **template.explicit.model_dump(mode="json"),
        locked_by=datasets.holder(db, org_id=org_id, name=name),
        row_count=datasets.row_count(db, org_id=org_id, name=name),
    )
