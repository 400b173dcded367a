"""`docs/errors.md` lists each code that an answer, a job, a row or a preview can have, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from collect import errors
from gateway.http.problems import STATUS

ROOT = Path(__file__).resolve().parents[2]
PAPER = ROOT / "docs" / "errors.md"
NOT_FOR_CALLERS = {"admin", "client", "messaging", "testing"}
"""Of ``collect``: what tells other errors, or tells of them to others."""
TOLD_BY_PLACE = {"FieldError": 1, "problem": 1}
"""Function → at which place its code stands, where that has no name."""
MOST_FIELDS = {3: 1, 4: 2}
"""The same of functions that put a :class:`FieldError` together (``add``, ``_wrong``), by how many they are given."""
MADE_OF_A_FIELD = {"too_many_managers", "too_many_members", "too_many_form_ids"}
CODE = re.compile(r"[a-z]+(_[a-z0-9]+)*")
ROW = re.compile(r"^\| `([a-z0-9_]+)` \| ([^|]+) \|", re.MULTILINE)
FAILED = "failed"
"""The state of a job whose task has refused it."""


def modules() -> list[Path]:
    shared = ROOT / "shared" / "collect"
    ours = (path for path in shared.rglob("*.py") if not NOT_FOR_CALLERS & set(path.relative_to(shared).parts))
    return [*ours, *ROOT.glob("services/*/*/**/*.py")]


def trees() -> list[ast.Module]:
    return [ast.parse(path.read_text(encoding="utf-8")) for path in modules()]


def documented() -> dict[str, set[str]]:
    """Code → statuses, states and other places that it is said to be found at."""
    found: dict[str, set[str]] = {}
    for code, where in ROW.findall(PAPER.read_text(encoding="utf-8")):
        found.setdefault(code, set()).update(where.split(", "))
    return found


def text(node: ast.expr | None) -> str | None:
    is_code = isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value)
    return str(node.value) if is_code and isinstance(node, ast.Constant) else None


def name_of(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def constants() -> dict[str, str]:
    """Texts that have a name."""
    found: dict[str, str] = {}
    for tree in trees():
        for node in tree.body:
            if isinstance(node, ast.Assign) and (code := text(node.value)):
                found |= {name_of(target): code for target in node.targets}
    return found


def status_of(call: ast.Call) -> str | None:
    """How the gateway answers an error that is raised so; of one that ends a job, what state that is in."""
    kind = getattr(errors, name_of(call.func), None)
    if not isinstance(kind, type) or not issubclass(kind, errors.CollectError):
        return None
    if issubclass(kind, errors.TaskRefused):
        return FAILED
    if any(keyword.arg == "malformed" for keyword in call.keywords):
        return "400"
    return next(str(status) for known, status in STATUS if issubclass(kind, known))


def in_calls() -> Iterator[tuple[str, str | None]]:
    """Codes in calls, and the status that follows from it."""
    named = constants()
    for node in (node for tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = name_of(node.func)
        for keyword in node.keywords:
            code = text(keyword.value) or named.get(name_of(keyword.value)) if keyword.arg == "code" else None
            if code and name != "Warning":
                yield code, status_of(node)
        place = MOST_FIELDS.get(len(node.args)) if name in ("add", "_wrong") else TOLD_BY_PLACE.get(name)
        if place is not None and place < len(node.args) and (code := text(node.args[place])):
            yield code, None


def in_tables() -> Iterator[tuple[str, str | None]]:
    """Codes beside a status: in a mapping from it, or in a row with it."""
    for node in (node for tree in trees() for node in ast.walk(tree)):
        pairs: list[tuple[ast.expr | None, ast.expr]] = []
        if isinstance(node, ast.Dict):
            pairs = list(zip(node.keys, node.values, strict=True))
        elif isinstance(node, ast.Tuple) and len(node.elts) > 2:
            pairs = [(node.elts[1], node.elts[2])]
        for status, value in pairs:
            if isinstance(status, ast.Constant) and isinstance(status.value, int) and (code := text(value)):
                yield code, str(status.value)


def test_each_code_is_listed_with_its_status() -> None:
    listed = documented()
    found = {*in_calls(), *in_tables()}
    assert len(found) > len(listed) / 2
    assert {code for code, _ in found} - listed.keys() == set()
    of_files = {code for code, where in listed.items() if where & {"file", "header"}}  # read by jobs, and told by both
    assert {
        (code, status)
        for code, status in found
        if status is not None and status not in listed[code] and not (status == FAILED and code in of_files)
    } == set()


def test_each_class_of_errors_is_listed_with_its_status() -> None:
    listed = documented()
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.CollectError)]
    for kind in kinds:
        status = next(str(status) for known, status in STATUS if issubclass(kind, known))
        assert {status, FAILED} & listed[kind.code], f"{kind.code} is {status}"


def test_no_code_is_listed_that_is_not_there() -> None:
    written = "".join(path.read_text(encoding="utf-8") for path in modules())
    assert {code for code in documented() if f'"{code}"' not in written} == MADE_OF_A_FIELD


def test_what_previews_warn_of_is_listed_with_the_command_line() -> None:
    warnings = {
        code
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and name_of(node.func) == "Warning"
        for keyword in node.keywords
        if keyword.arg == "code" and (code := text(keyword.value))
    }
    said = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert warnings
    assert warnings <= said
