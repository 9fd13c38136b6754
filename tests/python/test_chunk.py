"""recoup.chunk: restic's cuts, no copies, no GIL."""

from __future__ import annotations

import array
import hashlib
import mmap

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import MIB, noise

import recoup

DATA = noise(20 * MIB, "chunks")


def lengths(buffer, *polynomial) -> list[int]:
    return [piece.length for piece in recoup.chunk(buffer, *polynomial)]


def test_lengths_of_zeros_and_of_restics_own_vectors():
    # Zeros hash to zero once the window is full of them: every chunk is as short as can be (restic.md 2.10).
    assert lengths(bytes(2 * MIB + 1)) == [512 * 1024] * 4 + [1]
    assert lengths(b"\xff" * (9 * MIB))[0] == 8 * MIB


def test_pieces_follow_each_other_and_are_the_whole():
    pieces = list(recoup.chunk(DATA))
    assert len(pieces) > 5
    position = 0
    for piece in pieces:
        assert piece.offset == position
        assert piece.length == len(piece.data)
        position += piece.length
    assert b"".join(piece.data for piece in pieces) == DATA
    assert all(512 * 1024 <= piece.length <= 8 * MIB for piece in pieces[:-1])


def test_no_copy_is_made_of_any_kind_of_buffer(tmp_path):
    (tmp_path / "file").write_bytes(DATA)
    with open(tmp_path / "file", "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        owners = [
            DATA,
            bytearray(DATA),
            mapped,
            array.array("d", DATA),
            numpy.frombuffer(bytearray(DATA), dtype="<i2").reshape(4, -1),
            numpy.frombuffer(bytearray(DATA), dtype=[("a", ">u4"), ("b", "f4")]),
        ]
        expected = lengths(DATA)
        for owner in owners:
            pieces = list(recoup.chunk(owner))
            assert [piece.length for piece in pieces] == expected
            for piece in pieces:
                assert piece.data.obj is owner
                assert (piece.data.format, piece.data.itemsize) == ("B", 1)
            del pieces, piece


def test_views_show_later_changes_of_the_buffer():
    owner = bytearray(DATA)
    first, second, *_ = recoup.chunk(owner)
    owner[second.offset] ^= 0xFF
    assert second.data[0] == DATA[second.offset] ^ 0xFF
    assert first.data == DATA[: first.length]


def test_a_memoryview_can_be_cut_in_the_middle_of_its_owner():
    view = memoryview(DATA)[MIB:]
    pieces = list(recoup.chunk(view))
    assert b"".join(piece.data for piece in pieces) == DATA[MIB:]
    assert pieces[0].offset == 0
    assert pieces[0].data.obj is DATA


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
    sparse = tmp_path / "sparse"
    with open(sparse, "wb") as file:
        file.truncate(1 << 40)
    with open(sparse, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        pieces = recoup.chunk(mapped)
        assert [next(pieces).length, next(pieces).offset] == [512 * 1024] * 2
        del pieces


def test_empty_and_tiny_buffers():
    assert lengths(b"") == []
    assert lengths(numpy.zeros(0)) == []
    assert lengths(b"x") == [1]


def test_buffers_with_gaps_and_no_buffers_are_refused():
    with pytest.raises(BufferError):
        recoup.chunk(memoryview(DATA)[::2])
    with pytest.raises(BufferError):
        recoup.chunk(numpy.zeros((8, 8), order="F"))
    with pytest.raises(TypeError):
        recoup.chunk("text")  # type: ignore[arg-type]


@pytest.mark.parametrize("polynomial", ["", "xyz", "3DA3358B4DC17", "4", "3da3358b4dc172"])
def test_wrong_polynomials_are_refused_at_once(polynomial):
    with pytest.raises((recoup.InvalidArgumentError, recoup.UnsupportedError)):
        recoup.chunk(DATA, polynomial)


def test_sha256_is_the_hash_of_the_piece():
    piece = next(recoup.chunk(DATA))
    assert piece.sha256() == hashlib.sha256(piece.data).hexdigest()


def test_other_threads_run_meanwhile(others_run_during):
    zeros = b"\xff" * (64 * MIB)
    assert others_run_during(lambda: lengths(zeros))
    (whole,) = recoup.chunk(zeros[: 8 * MIB])
    assert others_run_during(lambda: [whole.sha256() for _ in range(8)])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 3 * MIB), st.booleans()), min_size=1, max_size=5
    )
)
def test_cuts_depend_on_content_only(parts):
    """Zeros and noise in any order: the pieces make up the whole, and cutting on from any cut gives the same cuts."""
    content = b"".join(noise(size, seed) if noisy else bytes(size) for seed, size, noisy in parts)
    pieces = list(recoup.chunk(content))
    assert b"".join(piece.data for piece in pieces) == content
    for piece in pieces[1:]:
        rest = memoryview(content)[piece.offset :]
        assert next(recoup.chunk(rest)).length == piece.length


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.builds(lambda seed, size, zeros: noise(size, seed) + bytes(zeros), st.integers(0, 99),
                         st.integers(1, 6 * MIB), st.integers(0, 3 * MIB)))
def test_cuts_are_those_of_a_backup(repository, tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    repository.backup(tmp_path / "file", force=True)
    stored = repository.snapshot().stat(tmp_path / "file").content
    assert [piece.sha256() for piece in recoup.chunk(content, repository.chunker_polynomial)] == stored
