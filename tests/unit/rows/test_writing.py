"""What an undo needs of a chunk fits into its ledger entry, or the chunk is too big."""

import secrets
from types import SimpleNamespace
from typing import cast

import bson
import pytest
from bson.raw_bson import RawBSONDocument

from collect.errors import ChunkTooBig
from collect.rows import writing
from collect.rows.batch import Batch, pack_keys
from collect.rows.writing import Decision


def batch(*keys: str) -> Batch:
    lot = SimpleNamespace(numbers=range(7, 7 + len(keys)), rows=len(keys))
    return cast(Batch, SimpleNamespace(keys=list(keys), packed=pack_keys(keys), prefix="p|", lot=lot))


def changed(size: int) -> Decision:
    there = RawBSONDocument(bson.encode({"_id": "x", "text": secrets.token_hex(size)}))
    return Decision(fresh=range(2), changed=[(0, there)])


def test_the_documents_before_and_the_keys_that_are_new_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [secrets.token_hex(400) for _ in range(2)]
    record = writing.undo_record(batch(*keys), changed(400))
    both = len(record["before"]) + len(record["created"])
    monkeypatch.setattr(writing, "MAX_RECORD_BYTES", both)
    writing.undo_record(batch(*keys), changed(390))
    monkeypatch.setattr(writing, "MAX_RECORD_BYTES", max(len(record["before"]), len(record["created"])))
    with pytest.raises(ChunkTooBig) as error:
        writing.undo_record(batch(*keys), changed(400))
    assert (error.value.where, error.value.rows) == ("row 7", 2)
