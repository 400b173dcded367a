"""docs/protocol.md shows the moves of the table."""

from pathlib import Path

from unit.jobs.diagram import BEGIN, END, diagram, table

PROTOCOL = Path(__file__).resolve().parents[3] / "docs" / "protocol.md"


def test_the_diagram_and_the_moves_in_the_docs_are_those_of_the_table() -> None:
    text = PROTOCOL.read_text(encoding="utf-8")
    shown = text[text.index(BEGIN) + len(BEGIN) : text.index(END)].strip()
    assert shown == f"{diagram()}\n\n{table()}", "put the right side into docs/protocol.md, between the two comments"
