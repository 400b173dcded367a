"""What a storm was, for people."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from storm.people import Asked
from storm.run import Result

HEADER = (
    f"  {'verb':10} {'asked':>6} {'202':>6} {'refused':>8} {'no answer':>10} {'p50 ms':>8} {'p99 ms':>8} "
    f"{'in effect p50':>14} {'p99':>8}"
)


def told(result: Result) -> str:
    """The table at the end."""
    lines = [
        f"Storm {result.seed}, {result.seconds:g} s",
        f"  acts       {_counted(result.acts)}; {result.left_out} had not begun when it was over",
        f"  faults     {sum(result.faults.values())}: {_counted(result.faults)}",
        f"  jobs       {sum(result.states.values())}: {_counted(result.states)}",
        f"  stored     {_counted(result.stored)} at rest; {result.corrected:,} rows had been corrected",
        f"  watched    {result.looks} looks at both organisations, {result.samples} jobs that had to stand still",
        f"  exports    {result.compared} results compared with those of quiet runs",
        f"  calm       {result.rest_seconds:.1f} s after the storm; then all was taken back with {result.undos} undos",
        HEADER,
        *_verbs(result.asked),
        f"  findings   {len(result.findings)}",
        *(f"    {found.code}: {found.message}" for found in result.findings),
    ]
    return "\n".join(lines)


def _verbs(asked: Sequence[Asked]) -> list[str]:
    by_verb: defaultdict[str, list[Asked]] = defaultdict(list)
    for one in asked:
        by_verb[one.verb].append(one)
    return [_verb(verb, by_verb[verb]) for verb in sorted(by_verb)]


def _verb(verb: str, asked: Sequence[Asked]) -> str:
    done = [one for one in asked if one.status == 202]
    refused = sum(400 <= one.status < 500 for one in asked)
    answered = [one.ms for one in done]
    in_effect = [one.latency_ms for one in done if one.latency_ms is not None]
    return (
        f"  {verb:10} {len(asked):6} {len(done):6} {refused:8} {len(asked) - len(done) - refused:10} "
        f"{_percentile(answered, 0.5):>8} {_percentile(answered, 0.99):>8} "
        f"{_percentile(in_effect, 0.5):>14} {_percentile(in_effect, 0.99):>8}"
    )


def _percentile(values: Sequence[float], share: float) -> str:
    if not values:
        return "-"
    ordered = sorted(values)
    return f"{ordered[min(len(ordered) - 1, int(share * len(ordered)))]:.0f}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in Counter(counts).most_common())
