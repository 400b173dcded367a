"""The list of all metrics: name, unit and meaning. A test compares the documentation with it."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_VERB_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_CHUNK_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

VERB_SECONDS = Histogram(
    "collect_verb_seconds",
    "Seconds from a verb's request to its commit, by the gateway.",
    ["kind", "verb"],
    buckets=_VERB_BUCKETS,
)
SLOTS_FREE_SECONDS = Histogram(
    "collect_slots_free_seconds",
    "Seconds from a verb's commit to the moment a slot that it cut has let go, by the worker.",
    ["kind"],
    buckets=_VERB_BUCKETS,
)
CHUNK_SECONDS = Histogram(
    "collect_chunk_seconds",
    "Seconds that one chunk's transaction took, or one entry's undo, by the slot.",
    ["kind", "phase"],
    buckets=_CHUNK_BUCKETS,
)
ROWS = Counter("collect_rows_total", "Rows by outcome, as committed by this process.", ["kind", "outcome"])
SLICES = Counter("collect_slices_total", "Slices by how they ended.", ["kind", "ending"])
REQUESTS = Histogram(
    "collect_request_seconds",
    "Seconds that a request took, by route and status.",
    ["route", "method", "status"],
    buckets=_CHUNK_BUCKETS,
)
REAPED = Counter("collect_parts_reaped_total", "Parts taken from owners whose lease had run out.", ["kind"])
RELAYED = Counter("collect_outbox_relayed_total", "Outbox entries that their committer had not sent.", [])
SWEPT = Counter("collect_parts_swept_total", "Parts published again because nobody had claimed them.", ["kind"])
FED = Counter("collect_parts_fed_total", "Parts published because their job's window had room.", ["kind"])
PUBLISHES = Counter(
    "collect_publishes_total",
    "Messages given to the broker: confirmed, unroutable, refused, blocked, unconfirmed, or unavailable.",
    ["exchange", "outcome"],
)
UNREADABLE = Counter("collect_messages_unreadable_total", "Messages that nobody could read, by what is wrong.", ["why"])
CONSUMERS_LOST = Counter("collect_consumers_lost_total", "Connections that a consumer has lost and made anew.", [])
OUTBOX_WAITING = Gauge(
    "collect_outbox_overdue", "Outbox entries that are overdue at the moment.", [], multiprocess_mode="livemax"
)
WORKERS = Gauge("collect_workers", "Workers that have shown life within the last seconds.", ["kind"])
SLOTS = Gauge("collect_slots", "Their slots, busy or free.", ["kind", "state"])
JOBS = Gauge("collect_jobs", "Jobs that are active, paused, or wait to be confirmed.", ["state"])
PARTS = Gauge("collect_parts_out", "Parts that can be claimed or are held.", ["kind", "status"])
LEASES_EXPIRED = Gauge(
    "collect_leases_expired",
    "Parts whose owners' leases are over and that nobody has freed yet.",
    [],
    multiprocess_mode="livemax",
)
REAPER_STOPPED = Gauge(
    "collect_reaper_stopped",
    "1 while so many leases have expired that the reaper frees none, else 0.",
    [],
    multiprocess_mode="livemax",
)

ALL = (
    VERB_SECONDS,
    SLOTS_FREE_SECONDS,
    CHUNK_SECONDS,
    ROWS,
    SLICES,
    REQUESTS,
    REAPED,
    RELAYED,
    SWEPT,
    FED,
    PUBLISHES,
    UNREADABLE,
    CONSUMERS_LOST,
    OUTBOX_WAITING,
    WORKERS,
    SLOTS,
    JOBS,
    PARTS,
    LEASES_EXPIRED,
    REAPER_STOPPED,
)
