"""The port on which a service listens: the one that its setting names, else the usual one, else one that is free."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from stack.ports import free_port, holder, is_free
from stack.telling import StackError

LAST_NEARBY_PORT = 8099


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A service that listens on a port of this machine. ``setting`` is the variable that names the port."""

    name: str
    setting: str
    usual: int


GATEWAY = Listener(name="gateway", setting="COLLECT_PORT", usual=8080)
MONITOR = Listener(name="monitor", setting="MONITOR_PORT", usual=8081)
LISTENERS = (GATEWAY, MONITOR)


def given_port(listener: Listener, environment: Mapping[str, str]) -> int | None:
    """The port that the environment names. Raises StackError for what is no port."""
    text = environment.get(listener.setting)
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) < 65_536:
        raise StackError(f"{listener.setting} is {text!r}, which is no port.")
    return int(text)


def choose_all(
    environment: Mapping[str, str], *, remembered: Mapping[str, int], running: Collection[str], ours: Mapping[str, int]
) -> dict[str, int]:
    """The port of each service by name. Raises StackError as `choose` does."""
    chosen = {one.name: remembered[one.name] for one in LISTENERS if one.name in running and one.name in remembered}
    for listener in sorted(LISTENERS, key=lambda one: given_port(one, environment) is None):
        others = {name: port for name, port in chosen.items() if name != listener.name}
        chosen[listener.name] = choose(
            listener,
            environment,
            remembered=remembered.get(listener.name),
            holds=listener.name in running,
            ours={**ours, **others},
        )
    return chosen


def choose(
    listener: Listener,
    environment: Mapping[str, str],
    *,
    remembered: int | None,
    holds: bool,
    ours: Mapping[str, int],
    command: str = "make up",
) -> int:
    """The port for a service. ``holds``: its process listens on the remembered port now.

    ``ours`` has the ports that the other programs of the stack have or will have. A port that was not asked for by name
    is replaced when something else holds it.

    Raises StackError, with the port, what needs it, what holds it and another port, when the port that the environment
    names cannot be had.
    """
    given = given_port(listener, environment)
    kept = remembered if holds else None
    if given is None:
        return kept or _free(listener, remembered=remembered, ours=ours)
    if given == kept:
        return given
    other = next((name for name, port in ours.items() if port == given), None)
    if other is None and is_free(given):
        return given
    why = f"is the port of our own {other}" if other else f"is taken by {holder(given) or 'another program'}"
    instead = _free(listener, remembered=remembered, ours=ours)
    raise StackError(
        f"Port {given} {why}; the {listener.name} needs it, since {listener.setting} names it. "
        f"Choose another: {listener.setting}={instead} {command}"
    )


def moved(listener: Listener, port: int) -> str | None:
    """What to say of a service that could not have its usual port."""
    if port == listener.usual or is_free(listener.usual):
        return None
    return (
        f"Port {listener.usual} is taken by {holder(listener.usual) or 'another program'}, so the {listener.name} "
        f"listens on {port}; {listener.setting} chooses another."
    )


def _free(listener: Listener, *, remembered: int | None, ours: Mapping[str, int]) -> int:
    """The usual port, the one from last time, one nearby, or any that is free; never one of our own."""
    not_these = frozenset({*ours.values(), *(other.usual for other in LISTENERS if other is not listener)})
    wanted = [listener.usual] if remembered is None else [listener.usual, remembered]
    wanted.extend(range(min(one.usual for one in LISTENERS), LAST_NEARBY_PORT + 1))
    for port in wanted:
        if port not in not_these and is_free(port):
            return port
    return free_port(taken=not_these)
