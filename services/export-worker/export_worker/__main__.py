"""The export worker: its task, in the runtime that every worker shares."""

from __future__ import annotations

from collect.runtime.service import serve
from export_worker.wiring import make_task


def main() -> None:
    """Run until told to go."""
    serve(service="export-worker", kind="export", make_task=make_task)


if __name__ == "__main__":
    main()
