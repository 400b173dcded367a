"""Forms on a real server, and the index that serves exports."""

import pytest

from collect.errors import NotFound
from collect.jobs.forms import FieldType, Form, FormField
from collect.storage import forms
from collect.storage.database import Database
from collect.storage.indexes import EXPORT_INDEX


def form(*, org_id: str = "labs", form_id: str = "survey", version: int = 1) -> Form:
    fields = (FormField(name="age", type=FieldType.INTEGER), FormField(name="submitted_at", type=FieldType.DATETIME))
    return Form(org_id=org_id, form_id=form_id, title="Survey", version=version, fields=fields)


def test_a_form_comes_back_as_it_was_given_however_often(db: Database) -> None:
    for _ in range(2):
        forms.ensure(db, form())
    assert forms.get(db, org_id="labs", form_id="survey") == form()
    forms.ensure(db, form(version=2))
    assert [found.version for found in forms.all_of(db, org_id="labs")] == [2]


def test_forms_are_listed_by_id_and_only_those_of_the_organisation(db: Database) -> None:
    for form_id, org_id in (("visit", "labs"), ("census", "labs"), ("survey", "other")):
        forms.ensure(db, form(form_id=form_id, org_id=org_id))
    assert [found.form_id for found in forms.all_of(db, org_id="labs")] == ["census", "visit"]
    assert [found.form_id for found in forms.all_of(db, org_id="other")] == ["survey"]


@pytest.mark.parametrize(("org_id", "form_id"), [("other", "survey"), ("labs", "visit"), ("lab", "s:survey")])
def test_a_form_of_somebody_else_is_not_there(db: Database, org_id: str, form_id: str) -> None:
    forms.ensure(db, form())
    with pytest.raises(NotFound, match="no form"):
        forms.get(db, org_id=org_id, form_id=form_id)


def test_ids_that_look_alike_when_joined_are_kept_apart(db: Database) -> None:
    forms.ensure(db, form(org_id="a", form_id="b:c"))
    with pytest.raises(NotFound):
        forms.get(db, org_id="a:b", form_id="c")


def test_responses_have_one_index_beside_that_of_their_ids(db: Database) -> None:
    found = [index["key"] for index in db.responses.index_information().values()]
    assert found == [[("_id", 1)], EXPORT_INDEX]
