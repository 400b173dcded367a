"""What may happen in a random schedule, and how often in proportion."""

import random
from typing import TypeVar

from collect.jobs.states import Verb
from integration.storage.hands import Row

T = TypeVar("T")

KEYS = [f"k{i}" for i in range(10)]
ACTS = {
    "create": 2, "ask": 3, "deliver": 7, "work": 7, "end": 1, "trouble": 3, "message": 1, "monitor": 1, "edit": 1,
}  # fmt: skip
VERBS = {Verb.PAUSE: 4, Verb.RESUME: 6, Verb.STOP: 1, Verb.TERMINATE: 2, Verb.UNDO: 6, Verb.CONFIRM: 1}
CONFLICTS = {"reject": 1, "queue": 2, "supersede": 1}
AT_ONCE = {None: 1, 0: 2, 1: 2, 2: 1}
ENDS = {"release": 3, "fail": 1, "over_limit": 1}
TROUBLES = {
    "its session is killed": 2,
    "its channel is gone and it lives on": 3,
    "it crashes": 3,
    "it crashes in a transaction": 1,
    "its parent sees it die": 2,
    "its lease runs out": 3,
}


def chosen(weights: dict[T, int], rng: random.Random) -> T:
    return rng.choices(list(weights), list(weights.values()))[0]


def content(rng: random.Random) -> list[list[Row]]:
    """Up to four parts of up to ten rows; the keys are few, so that parts and jobs touch the same documents."""
    sizes = [rng.randrange(1, 11) for _ in range(rng.choice([0, 1, 2, 2, 3, 4]))]
    return [[(rng.choice(KEYS), rng.randrange(1, 100)) for _ in range(size)] for size in sizes]
