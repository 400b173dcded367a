"""Which cell is which column."""

from collect.csv import delimiters
from collect.csv.layout import REJECT_COLUMNS, Header, Params, arrange
from collect.jobs.template import Template

TEMPLATE = Template.model_validate(
    {"key": ["id"], "columns": [{"name": "id", "type": "string"}, {"name": "row", "type": "string"}]}
)


def arranged(*names: str) -> tuple[tuple[str | None, ...], list[str]]:
    header = Header(cells=names, is_header=True, delimiter=",")
    layout, errors = arrange(header, TEMPLATE, Params(), only_key=False)
    return layout.columns, [error.field for error in errors]


def test_a_file_of_rejects_is_sent_again_as_it_is() -> None:
    template = Template.model_validate({"key": ["id"], "columns": [{"name": "id", "type": "string"}]})
    header = Header(cells=("id", *REJECT_COLUMNS), is_header=True, delimiter=",")
    layout, errors = arrange(header, template, Params(), only_key=False)
    assert (layout.columns, errors) == (("id", None, None, None, None), [])


def test_a_column_of_the_dataset_is_never_taken_for_one_of_them() -> None:
    assert arranged("id", *REJECT_COLUMNS) == (("id", "row", None, None, None), [])


def test_only_all_of_them_at_the_end_are_left_out() -> None:
    assert arranged("id", "code", "message") == (("id", None, None), ["code", "message"])
    assert arranged(*REJECT_COLUMNS, "id")[1] == ["code", "field", "message"]


def test_a_delimiter_by_which_the_header_never_ends_is_none() -> None:
    head = b'k;note,"in inches;n\n' + b"1;2;3\n" * 1_000
    assert delimiters.by_names(head, known=frozenset({"k", "n"}), final=False) == ";"
