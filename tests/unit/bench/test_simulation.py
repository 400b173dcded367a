"""What holds of every run of the simulation, whatever is asked of it."""

from collections import defaultdict
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity import costs as rules
from capacity.costs import Costs, export_part_rows, file_part_rows
from capacity.jobs import Arrival, Outcome, Place
from capacity.simulation import SPREAD, simulate

PARTS = [file_part_rows(row_bytes=150.0), export_part_rows]
COSTS = Costs(
    slot_seconds=6e-6,
    database_seconds=10e-6,
    first_rows=2_000,
    most_rows=10_000,
    part_rows=PARTS[0],
    change_seconds=0.1,
)

costs = st.builds(
    Costs,
    slot_seconds=st.floats(1e-6, 1e-4),
    database_seconds=st.floats(1e-6, 1e-4),
    later_seconds=st.floats(0, 1e-5),
    plan_seconds=st.sampled_from([0.0, 1e-6]),
    finish_seconds=st.sampled_from([0.0, 1e-6]),
    change_seconds=st.floats(0.001, 0.2),
    first_rows=st.just(2_000),
    most_rows=st.sampled_from([10_000, 50_000]),
    part_rows=st.sampled_from(PARTS),
)
places = st.one_of(
    st.builds(
        Place,
        slots=st.integers(1, 6),
        cores=st.sampled_from([1.0, 2.0, 8.0]),
        database_cores=st.sampled_from([1.0, 4.0]),
        contention=st.sampled_from([0.0, 0.1]),
    ),
    st.builds(Place, slots=st.integers(1, 6), cores=st.sampled_from([1.0, 2.0, 8.0]), together=st.just(True)),
)
arrivals = st.lists(st.builds(Arrival, at=st.floats(0, 20), rows=st.integers(1, 300_000)), min_size=1, max_size=5)
runs = settings(max_examples=80, deadline=None)


@runs
@given(arrivals, places, costs)
def test_every_row_that_was_asked_for_is_written_once(asked: list[Arrival], place: Place, cost: Costs) -> None:
    ran = simulate(asked, place=place, costs=cost)
    assert sorted(job.rows_done for job in ran.jobs) == sorted(one.rows for one in asked)
    assert all(sum(part.rows for part in job.parts) == job.arrival.rows for job in ran.jobs)
    assert all(part.done == part.rows for job in ran.jobs for part in job.parts)


@runs
@given(arrivals, places, costs)
def test_no_slot_does_two_things_at_once(asked: list[Arrival], place: Place, cost: Costs) -> None:
    by_slot = defaultdict(list)
    for held in simulate(asked, place=place, costs=cost).held:
        by_slot[held.slot].append((held.began, held.ended))
    assert len(by_slot) <= place.slots
    for times in by_slot.values():
        assert all(ended <= began for (_, ended), (began, _) in pairwise(times))


@runs
@given(arrivals, places, costs)
def test_no_part_is_held_by_two_slots_at_once(asked: list[Arrival], place: Place, cost: Costs) -> None:
    by_part = defaultdict(list)
    for held in simulate(asked, place=place, costs=cost).held:
        by_part[id(held.job), held.n].append((held.began, held.ended))
    for times in by_part.values():
        assert all(ended <= began for (_, ended), (began, _) in pairwise(times))


@runs
@given(arrivals, places, costs)
def test_no_slot_is_idle_while_a_message_waits(asked: list[Arrival], place: Place, cost: Costs) -> None:
    ran = simulate(asked, place=place, costs=cost)
    marks = sorted({held.began for held in ran.held} | {held.ended for held in ran.held})
    for since, until in pairwise(marks):
        queued = sum(held.asked <= since and held.began >= until for held in ran.held)
        busy = sum(held.began <= since and held.ended >= until for held in ran.held)
        assert queued == 0 or busy == place.slots


def bound(place: Place, cost: Costs) -> float:
    """Rows a second that no run can pass: what the slots make, what they commit, what the cores carry."""
    slot = min(1 / cost.slot_seconds, 1 / cost.database_seconds) / (1 - SPREAD)
    if place.together:
        each = (cost.slot_seconds + cost.database_seconds) * (1 - SPREAD)
        return min(place.slots * slot, place.cores / each)
    cores = min(place.cores / cost.slot_seconds, place.database_cores / cost.database_seconds) / (1 - SPREAD)
    return min(place.slots * slot, cores)


@runs
@given(arrivals, places, costs)
def test_it_is_never_faster_than_its_slots_and_its_database(asked: list[Arrival], place: Place, cost: Costs) -> None:
    ran = simulate(asked, place=place, costs=cost)
    assert ran.rows_per_second <= bound(place, cost) * (1 + 1e-9)
    assert ran.database_use <= 1 + 1e-9


@runs
@given(arrivals, places, costs, st.integers(0, 1_000))
def test_the_same_seed_gives_the_same_outcome(asked: list[Arrival], place: Place, cost: Costs, seed: int) -> None:
    def shown(ran: Outcome) -> list[tuple[float, ...]]:
        return [(job.first_at, job.ended_at) for job in ran.jobs] + [
            (held.slot, held.began, held.ended) for held in ran.held
        ]

    once, again = (simulate(asked, place=place, costs=cost, seed=seed) for _ in range(2))
    assert shown(once) == shown(again)


@pytest.mark.parametrize("slots", [1, 2, 8])
def test_a_small_job_waits_for_a_slice_and_no_longer(slots: int) -> None:
    """However big the other one is: a look, a slice of a second, the chunk that is being committed, one change."""
    small = [Arrival(at=20 + 7.3 * n, rows=50, name="small") for n in range(20)]
    place = Place(slots=slots, cores=16, database_cores=16)
    ran = simulate([Arrival(at=0, rows=30_000_000, name="big"), *small], place=place, costs=COSTS)
    chunk = 2 * rules.CHUNK_SECONDS
    most = rules.LOOK_SECONDS + rules.SLICE_SECONDS_WHEN_ANOTHER_JOB_WAITS + chunk + COSTS.change_seconds
    assert max(job.waited for job in ran.named("small")) <= most


def test_without_the_fair_slice_a_small_job_would_wait_for_whole_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail."""
    monkeypatch.setattr(rules, "SLICE_SECONDS_WHEN_ANOTHER_JOB_WAITS", rules.SLICE_SECONDS)
    place = Place(slots=1, cores=16, database_cores=16)
    ran = simulate([Arrival(at=0, rows=30_000_000), Arrival(at=20, rows=50, name="small")], place=place, costs=COSTS)
    assert ran.named("small")[0].waited > 5


def test_a_second_slot_doubles_the_rate_while_nothing_else_limits() -> None:
    one, two = (
        simulate([Arrival(at=0, rows=5_000_000)], place=Place(slots=n, cores=16, database_cores=16), costs=COSTS)
        for n in (1, 2)
    )
    assert two.rows_per_second / one.rows_per_second == pytest.approx(2, rel=0.1)


def test_slots_beyond_what_the_database_takes_add_nothing() -> None:
    rates = [
        simulate(
            [Arrival(at=0, rows=5_000_000)], place=Place(slots=n, cores=64, database_cores=2), costs=COSTS
        ).rows_per_second
        for n in (2, 8)
    ]
    assert rates[1] == pytest.approx(2 / COSTS.database_seconds, rel=0.05)
    assert rates[1] < rates[0] * 1.2
