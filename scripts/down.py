"""Stops what `scripts/up.py` started, and nothing else. The data stays, for the next start."""

import argparse
import fcntl
import os
import sys
from pathlib import Path

from stack import compose, leftovers
from stack.supervision import Supervisor
from stack.telling import StackError, say, step

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / ".local"
CONTAINER_PORTS = LOCAL / "compose.json"
ENDED = ("STOPPED", "EXITED", "FATAL")


def bring_containers_down(*, with_data: bool) -> None:
    if not CONTAINER_PORTS.exists():
        return
    with step("containers stopped, and their data removed" if with_data else "containers stopped"):
        stack = compose.Compose(command=compose.find(os.environ), root=ROOT)
        if with_data:
            stack.remove_data()
        else:
            stack.down()
        CONTAINER_PORTS.unlink()


def bring_down() -> None:
    supervisor = Supervisor(folder=LOCAL / "supervisor", home=LOCAL)
    if supervisor.is_running():
        with step("services and servers stopped") as details:
            running = [name for name, state in supervisor.states().items() if state not in ENDED]
            details.append(", ".join(running) or "none was running")
            supervisor.shutdown()
    if leftovers.find(LOCAL):
        with step("what had lost its supervisor") as details:
            details.append(f"{leftovers.end(LOCAL)} ended")
    say("Everything is down.")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--with-data", action="store_true", help="remove the data that containers have kept, too")
    with_data: bool = parser.parse_args().with_data
    if not LOCAL.exists():
        say("Everything is down.")
        return 0
    with (LOCAL / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            bring_containers_down(with_data=with_data)
            bring_down()
        except StackError as error:
            say(str(error))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
