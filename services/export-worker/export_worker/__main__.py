"""The export worker: it runs its task in the runtime that all workers share."""

from __future__ import annotations

from collect.runtime.service import serve
from export_worker.wiring import make_task


def main() -> None:
    """Run the worker until the process gets a stop signal. It blocks."""
    serve(service="export-worker", kind="export", make_task=make_task)


if __name__ == "__main__":
    main()
