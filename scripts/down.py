"""Stops what `scripts/up.py` started, and nothing else. The data stays, for the next start."""

import fcntl
import sys
from pathlib import Path

from stack import leftovers
from stack.supervision import Supervisor
from stack.telling import StackError, say, step

LOCAL = Path(__file__).resolve().parent.parent / ".local"
ENDED = ("STOPPED", "EXITED", "FATAL")


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
    if not LOCAL.exists():
        say("Everything is down.")
        return 0
    with (LOCAL / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            bring_down()
        except StackError as error:
            say(str(error))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
