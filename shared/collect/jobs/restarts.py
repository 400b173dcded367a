"""What a restarted job takes over from the one that it is like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OF_THE_PARENT_ALONE = frozenset({"on_conflict", "supersedes"})
_OF_ITS_FILE = frozenset({"column_shift", "encoding"})
"""True of the file that was sent, and not of another one: what we give out is UTF-8, with its cells moved."""


def params(parent: Mapping[str, Any], given: Mapping[str, Any], *, with_file: bool) -> dict[str, Any]:
    """Those of a job that is like one with the params ``parent``, except where ``given`` says otherwise.

    ``with_file``: another file comes along; or ``given`` names one.
    """
    other_file = with_file or given.get("file_id", parent.get("file_id")) != parent.get("file_id")
    left = _OF_THE_PARENT_ALONE | (_OF_ITS_FILE if other_file else frozenset())
    return {**{name: value for name, value in parent.items() if name not in left}, **given}
