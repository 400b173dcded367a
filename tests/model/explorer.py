"""Explores every state that a model can reach, breadth first, and reports the shortest way to each broken promise.

Three things are looked for: a state that breaks an invariant, a state in which nothing is left to do although it is no
place to rest, and a state from which the system alone, without help from its environment, never comes to rest.
"""

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

S = TypeVar("S", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Step(Generic[S]):
    """One thing that can happen. ``by_system``: it will happen if nothing else does; crashes, losses and verbs may not.

    ``broken`` says which promise the step itself breaks.
    """

    label: str
    by_system: bool
    state: S
    broken: str | None = None


class Model(Protocol[S]):
    """What the explorer needs to know of a model."""

    def start(self) -> S:
        """The first state."""

    def steps(self, state: S) -> Iterator[Step[S]]:
        """All that can happen in ``state``."""

    def broken(self, state: S) -> str | None:
        """Which promise ``state`` breaks."""

    def restless(self, state: S) -> str | None:
        """Why the system may not rest in ``state``, when it has nothing left to do there."""


@dataclass(frozen=True)
class Finding:
    """A broken promise, and the shortest way to it."""

    promise: str
    way: Sequence[str]

    def __str__(self) -> str:
        return "\n  ".join([self.promise, *self.way])


@dataclass(frozen=True)
class Explored:
    """``complete``: there are no further states."""

    states: int
    complete: bool
    finding: Finding | None


@dataclass
class _Seen(Generic[S]):
    """The states met so far, by number, each with the step that led to it first."""

    numbers: dict[S, int] = field(default_factory=dict)
    states: list[S] = field(default_factory=list)
    came_by: list[tuple[int, str]] = field(default_factory=list)
    led_here: dict[int, list[int]] = field(default_factory=dict)
    """State → the states from which a step of the system leads to it."""
    resting: list[int] = field(default_factory=list)

    def add(self, state: S, parent: int, label: str) -> int | None:
        """Its number if it is new."""
        if state in self.numbers:
            return None
        number = self.numbers[state] = len(self.states)
        self.states.append(state)
        self.came_by.append((parent, label))
        return number

    def way_to(self, number: int, *further: str) -> list[str]:
        way = list(reversed(further))
        while number > 0:
            number, label = self.came_by[number]
            way.append(label)
        return way[::-1]


def explore(model: Model[S], *, most_states: int) -> Explored:
    """All states, or the first ``most_states`` of them; stops at the first finding."""
    seen: _Seen[S] = _Seen()
    seen.add(model.start(), -1, "start")
    waiting = deque([0])
    while waiting:
        if len(seen.states) > most_states:
            return Explored(states=len(seen.states), complete=False, finding=None)
        number = waiting.popleft()
        finding = _expand(model, seen, number, waiting)
        if finding is not None:
            return Explored(states=len(seen.states), complete=False, finding=finding)
    return Explored(states=len(seen.states), complete=True, finding=_trapped(seen))


def _expand(model: Model[S], seen: _Seen[S], number: int, waiting: deque[int]) -> Finding | None:
    by_system = 0
    for step in model.steps(seen.states[number]):
        by_system += step.by_system
        broken = step.broken or model.broken(step.state)
        if broken is not None:
            return Finding(broken, seen.way_to(number, step.label))
        new = seen.add(step.state, number, step.label)
        if new is not None:
            waiting.append(new)
        if step.by_system:
            seen.led_here.setdefault(seen.numbers[step.state], []).append(number)
    if by_system:
        return None
    restless = model.restless(seen.states[number])
    if restless is not None:
        return Finding(restless, seen.way_to(number))
    seen.resting.append(number)
    return None


def _trapped(seen: _Seen[S]) -> Finding | None:
    """A state from which no steps of the system lead to rest."""
    comes_to_rest = set(seen.resting)
    waiting = list(seen.resting)
    while waiting:
        for before in seen.led_here.get(waiting.pop(), ()):
            if before not in comes_to_rest:
                comes_to_rest.add(before)
                waiting.append(before)
    for number in range(len(seen.states)):
        if number not in comes_to_rest:
            return Finding("the system never comes to rest", seen.way_to(number))
    return None
