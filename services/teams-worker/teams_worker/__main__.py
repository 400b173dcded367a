"""The teams worker: its task, in the runtime that every worker shares."""

from __future__ import annotations

from collect.runtime.service import serve
from teams_worker.wiring import make_task


def main() -> None:
    """Run until told to go."""
    serve(service="teams-worker", kind="teams", make_task=make_task)


if __name__ == "__main__":
    main()
