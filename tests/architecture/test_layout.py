"""What the repository promises about its own shape."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
CODE_FOLDERS = ("shared", "services", "scripts", "tests", "bench")
PACKAGES = ("shared", *sorted(f"services/{path.parent.name}" for path in ROOT.glob("services/*/pyproject.toml")))
MAX_LINES = 400
FORBIDDEN_MODULE_NAMES = {"utils", "helpers", "manager", "base", "common", "misc"}
ADDRESS_OF_AN_INDEX = re.compile(r"https?://|--(extra-)?index-url|--find-links")


def modules() -> list[Path]:
    return [path for folder in CODE_FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def makefile() -> str:
    return (ROOT / "Makefile").read_text(encoding="utf-8")


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    too_long = {
        str(path.relative_to(ROOT)): lines
        for path in modules()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert too_long == {}


def test_modules_are_named_for_what_they_hold() -> None:
    assert [path for path in modules() if path.stem in FORBIDDEN_MODULE_NAMES] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_can_be_installed_on_its_own(package: str) -> None:
    project = tomllib.loads((ROOT / package / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["build-system"]["build-backend"] == "hatchling.build"
    assert project["project"]["requires-python"] == ">=3.11,<3.14"
    (name,) = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert (ROOT / package / name / "__init__.py").exists()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_dependency_of_a_package_is_pinned(package: str) -> None:
    project = tomllib.loads((ROOT / package / "pyproject.toml").read_text(encoding="utf-8"))
    lock = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE)) | {"collect-jobs"}
    extras = project["project"].get("optional-dependencies", {}).values()
    dependencies = [*project["project"]["dependencies"], *(each for extra in extras for each in extra)]
    needed = {re.split(r"[^a-z0-9-]", dependency)[0] for dependency in dependencies}
    assert needed - pinned <= {"rich"}, "images have no rich: they do without the command `collect`"


@pytest.mark.parametrize("lock", ["runtime", "build", "dev", "servers"])
def test_every_pin_has_a_hash_and_no_lock_names_an_index(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^[a-z0-9-]+==.*$", text, re.MULTILINE)
    assert pins
    assert all(pin.endswith("\\") for pin in pins)
    assert not ADDRESS_OF_AN_INDEX.search(text)


def test_the_direction_of_imports_is_under_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    linter = project["tool"]["importlinter"]
    services = {path.parent.name for path in ROOT.glob("services/*/*/__init__.py")}
    assert services | {"collect"} == set(linter["root_packages"])
    independent = [set(each["modules"]) for each in linter["contracts"] if each["type"] == "independence"]
    assert independent == [services]
    (layers,) = [each for each in linter["contracts"] if each["type"] == "layers"]
    assert layers["containers"] == ["collect"]
    assert layers["exhaustive"]


def test_every_target_of_the_makefile_says_what_it_does() -> None:
    targets = set(re.findall(r"^([a-z0-9]+):(?!=)", makefile(), re.MULTILINE))
    explained = set(re.findall(r"^([a-z0-9]+):.*## \S", makefile(), re.MULTILINE))
    assert targets
    assert targets == explained


def test_every_target_of_the_makefile_is_phony() -> None:
    targets = set(re.findall(r"^([a-z0-9]+):(?!=)", makefile(), re.MULTILINE))
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile(), re.MULTILINE)
    assert set(phony.split()) == targets
