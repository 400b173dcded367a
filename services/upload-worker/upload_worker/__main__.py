"""The upload worker: its task, in the runtime that every worker shares."""

from __future__ import annotations

from collect.runtime.service import serve
from upload_worker.wiring import make_task


def main() -> None:
    """Run until told to go."""
    serve(service="upload-worker", kind="upload", make_task=make_task)


if __name__ == "__main__":
    main()
