"""Cutting data where restic does."""

from __future__ import annotations

from collections.abc import Iterator
from pickle import PickleBuffer
from typing import TYPE_CHECKING, NamedTuple

from . import _engine

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

#: The polynomial of the chunker's own tests. Real repositories each have a random one: `Repository.chunker_polynomial`.
DEFAULT_POLYNOMIAL = "3da3358b4dc173"


class Chunk(NamedTuple):
    """A piece of the buffer that was cut; `data` is a view of that buffer, not a copy. Offset and length are in bytes."""

    offset: int
    length: int
    data: memoryview

    def sha256(self) -> str:
        """The id that the chunk has as a blob, in hexadecimal."""
        return _engine.sha256(self.data)


def chunk(buffer: ReadableBuffer, polynomial: str = DEFAULT_POLYNOMIAL) -> Iterator[Chunk]:
    """Yields the chunks of a C-contiguous buffer (bytes, memoryview, mmap, numpy array) in order, without copying.

    Only as much of the buffer is read as chunks are taken, so it may be a file of any size in an mmap. A chunk has 512
    KiB to 8 MiB, except the last, which may be shorter; an empty buffer has none. `polynomial` is irreducible, of
    degree 53, in hexadecimal.

    Raises BufferError for a buffer with gaps, InvalidArgumentError or UnsupportedError for the polynomial.
    """
    cutter = _engine.Chunker(polynomial)
    view = memoryview(buffer)
    if not view.c_contiguous:
        raise BufferError("only C-contiguous buffers can be cut")
    try:
        view = view.cast("B")
    except TypeError:  # cast() knows the element types of the struct module only
        view = PickleBuffer(buffer).raw()
    return _cut(view, cutter)


def _cut(view: memoryview, cutter: _engine.Chunker) -> Iterator[Chunk]:
    offset = 0
    while offset < len(view):
        length = cutter.next_length(view, offset)
        yield Chunk(offset, length, view[offset : offset + length])
        offset += length
