"""Whoever adds a kind of job by the guide finds in it every list of the workers."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "adding-a-job-kind.md"
FOLDERS = (".ci", "bench", "charts", "docs", "scripts", "shared", "tests")
WORKERS = [path.parent.name for path in ROOT.glob("services/*-worker/pyproject.toml")]


def listing_all_workers() -> list[Path]:
    """Files that name every worker, but for tests: those find the services where they are, or name some as examples."""
    files = [*ROOT.iterdir(), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))]
    read = (path for path in files if path.is_file() and not (path.name.startswith("test_") or path.suffix == ".pyc"))
    texts = {path: path.read_bytes() for path in read}
    return [path for path, text in texts.items() if all(worker.encode() in text for worker in WORKERS)]


def test_the_guide_names_every_file_that_lists_the_workers() -> None:
    guide, found = GUIDE.read_text(encoding="utf-8"), listing_all_workers()
    names = [f"]({path.name})" if path.parent == GUIDE.parent else f"`{path.relative_to(ROOT)}`" for path in found]
    assert "`docker-compose.yml`" in names
    assert [name for name in names if name not in guide] == []
