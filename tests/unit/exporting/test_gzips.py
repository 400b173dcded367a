"""Gzip files put together from pieces are one member, hold what the pieces held, and say the right sums."""

import gzip
import hashlib
import zlib

from hypothesis import given
from hypothesis import strategies as st

from collect.exporting import gzips
from collect.exporting.gzips import Joined, Reading

blocks = st.lists(st.binary(max_size=300), max_size=4)


def body(member: bytes) -> bytes:
    return member[len(gzips.MARKED_HEAD) : -gzips.TAIL_BYTES]


@given(st.binary(max_size=1_000), st.binary(max_size=1_000))
def test_a_checksum_of_two_texts_follows_from_theirs(first: bytes, second: bytes) -> None:
    both = gzips.crc_of_both(zlib.crc32(first), zlib.crc32(second), len(second))
    assert both == zlib.crc32(first + second)


@given(st.lists(blocks, max_size=4), st.integers(1, 200))
def test_members_that_are_joined_are_one_member(members: list[list[bytes]], piece: int) -> None:
    joined = Joined()
    made = [gzips.member(each) for each in members]
    for member in made:
        reading = Reading(len(member), [joined])
        for at in range(0, len(member), piece):
            reading.add(member[at : at + piece])
    whole = gzips.HEAD + b"".join(map(body, made)) + joined.tail()
    assert joined.possible
    assert (joined.packed_bytes + gzips.TAIL_BYTES, joined.sha256()) == (len(whole), hashlib.sha256(whole).hexdigest())
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert reader.decompress(whole) == b"".join(b"".join(each) for each in members)
    assert (reader.eof, reader.unused_data) == (True, b"")


@given(blocks)
def test_pieces_do_not_depend_on_the_members_that_they_stand_in(each: list[bytes]) -> None:
    assert body(gzips.member(each)) == b"".join(body(gzips.member([block])) for block in each)
    assert gzip.decompress(gzips.member(each)) == b"".join(each)


@given(st.binary(max_size=200))
def test_a_member_that_was_made_otherwise_is_not_joined(data: bytes) -> None:
    joined, other = Joined(), gzip.compress(data)
    Reading(len(other), [joined]).add(other)
    assert not joined.possible
