"""The papers of the repository: what they name is there."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAPERS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "charts").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
PACKAGES = ("shared", *sorted(f"services/{path.parent.name}" for path in ROOT.glob("services/*/pyproject.toml")))


def anchors(paper: Path) -> set[str]:
    """The anchors that a heading has where Markdown is shown."""
    headings = re.findall(r"^#+ (.+)$", paper.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(paper: Path) -> None:
    lost = []
    for target, anchor in LINK.findall(paper.read_text(encoding="utf-8")):
        path = paper.parent / target if target else paper
        if not path.exists() or (anchor and anchor not in anchors(path)):
            lost.append(f"{target}#{anchor}")
    assert lost == []


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_that_a_paper_names_exists(paper: Path) -> None:
    lost = []
    for path, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", paper.read_text(encoding="utf-8")):
        file = ROOT / path
        if not file.exists() or f"def {test}(" not in file.read_text(encoding="utf-8"):
            lost.append(f"{path}::{test}")
    assert lost == []


def test_hooks_call_targets_of_the_makefile_and_nothing_else() -> None:
    targets = set(re.findall(r"^([a-z0-9]+):(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    entries = [hook["entry"] for repository in hooks["repos"] for hook in repository["hooks"]]
    assert entries
    assert [
        entry for entry in entries if not re.fullmatch(r"make (\w+)", entry) or entry.split()[1] not in targets
    ] == []


def test_only_unit_leaves_the_detectors_out_and_ci_runs_the_whole_suite() -> None:
    rules = re.findall(r"^([a-z0-9]+):.*\n((?:\t.*\n)*)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    recipes = dict(rules)
    assert [name for name, recipe in rules if "not detectors" in recipe] == ["unit"]
    assert "-m detectors" in recipes["detectors"]
    assert recipes["suite"].strip() == "$(PYTEST) $(SIDE_BY_SIDE)"
    assert re.search(r"^step suite make suite$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_the_licence_that_the_repository_has(package: str) -> None:
    project = tomllib.loads((ROOT / package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license"] == "Apache-2.0"
    assert "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_all_packages_have_the_same_version() -> None:
    projects = [tomllib.loads((ROOT / package / "pyproject.toml").read_text(encoding="utf-8")) for package in PACKAGES]
    assert len({project["project"]["version"] for project in projects}) == 1


def test_the_changelog_says_what_is_new_since_the_last_release() -> None:
    sections = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sections[0] == "Unreleased"
    assert [each for each in sections[1:] if not re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", each)] == []
