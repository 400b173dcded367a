"""The teams worker: it runs its task in the runtime that all workers share."""

from __future__ import annotations

from collect.runtime.service import serve
from teams_worker.wiring import make_task


def main() -> None:
    """Run the worker until the process gets a stop signal. It blocks."""
    serve(service="teams-worker", kind="teams", make_task=make_task)


if __name__ == "__main__":
    main()
