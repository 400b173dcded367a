"""Every move that is not in the table, tried one by one on the one function that moves a job's state."""

import itertools
from datetime import UTC, datetime
from typing import cast

import pytest

from collect.errors import IllegalTransition
from collect.jobs.model import Actor, Job
from collect.jobs.states import LEGAL, State, Trigger, allowed_verbs
from collect.protocol import transitions
from collect.storage.database import Transaction

UNLISTED = [moved for moved in itertools.product(Trigger, State, State) if moved not in LEGAL]


@pytest.mark.parametrize(("trigger", "source", "target"), UNLISTED)
def test_a_move_that_is_not_in_the_table_is_refused_before_anything_is_touched(
    trigger: Trigger, source: State, target: State
) -> None:
    job = Job(
        id="j", org_id="labs", kind="upload", params={}, state=source,
        created_at=datetime(2026, 1, 1, tzinfo=UTC), created_by=Actor(id="k", name="K"),
    )  # fmt: skip
    nothing = cast(Transaction, object())
    with pytest.raises(IllegalTransition) as refused:
        transitions.move(nothing, job, trigger=trigger, target=target, request=transitions.by_system("a try"))
    assert refused.value.state == source
    assert refused.value.allowed_verbs == tuple(verb.value for verb in allowed_verbs(source))
    assert source.value in refused.value.detail
