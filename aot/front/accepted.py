"""Remembers which IR texts LLVM accepted and would print as they stand, so that it need not read them again.

Problem: LLVM's reading and printing of a large `.ll` file takes longer than all the rest of a build that
finds everything in the cache. But the index takes only what LLVM prints, and a bad file must be refused.
Method: where LLVM prints what it was given, the file's own text serves, now and in later builds: the
digests of its functions are kept, and one of its frame, which is all else, their first lines included.
As long as the frame is what it was, LLVM reads just the new functions, in that frame, with the others
reduced to their first lines. What it then refuses or prints in another way it is given whole.

That is enough where nothing in a function's body can make another function right or wrong, which holds
but for blocks whose address is taken and for frames that another function recovers. (A debug
information node must not be attached to two functions, but that is done in their first lines.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from nativecache.aot.errors import BuildError
from nativecache.aot.key import DIGEST, Compiler, compiler_fields, form_of, own_record
from nativecache.cache.entry import Entry
from nativecache.cache.lookup import EntryStore
from nativecache.cache.recipe import Recipe
from nativecache.cache.shape import Malformed
from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass

#: What LLVM calls text that names no source file.
_NAMELESS: Final = b'source_filename = "<string>"'

_END: Final = b"\n}\n"
#: What may differ: LLVM tells behind a label where its block is jumped to from, and writes no zeros in front.
_PREDECESSORS: Final = re.compile(rb": +; (?:preds = %[-\w$.]+(?:, %[-\w$.]+)*|No predecessors!)(?=\n)")
_ZEROS: Final = re.compile(rb"(?<=[ (\[-])0+(?=\d)")
#: By these, functions refer to what is in the bodies of others.
_TIES: Final = (b"blockaddress(", b"@llvm.localescape", b"@llvm.localrecover")


@dataclass(frozen=True, slots=True)
class Layout:
    """Printed IR, and where in it each function begins, its first line ends, and it ends."""

    data: bytes
    functions: tuple[tuple[int, int, int], ...]

    def frame(self) -> Iterator[memoryview]:
        """The pieces of the text outside of functions' bodies."""
        view, at = memoryview(self.data), 0
        for _, body, end in self.functions:
            yield view[at:body]
            at = end
        yield view[at:]

    def function(self, n: int) -> bytes:
        """The text of the function of a number."""
        start, _, end = self.functions[n]
        return self.data[start:end]

    def outside(self) -> bytes:
        """The text outside of functions."""
        pieces, at = [], 0
        for start, _, end in self.functions:
            pieces.append(self.data[at:start])
            at = end
        return b"".join([*pieces, self.data[at:]])

    def only(self, wanted: Iterable[int]) -> bytes:
        """The text with `unreachable` for the bodies of functions that are not wanted."""
        kept, at = frozenset(wanted), 0
        pieces: list[bytes] = []
        for n, (_, body, end) in enumerate(self.functions):
            if n not in kept:
                pieces += self.data[at:body], b"\n  unreachable\n}\n"
                at = end
        return b"".join([*pieces, self.data[at:]])


def lay_out(data: bytes) -> Layout | None:
    """Finds the functions in printed IR as the index does; None where the text cannot be printed IR."""
    found, at = [], 0
    while (end := data.find(_END, at)) >= 0:
        start = at if data.startswith(b"define ", at) else data.find(b"\ndefine ", at, end) + 1
        body = data.find(b"\n", start, end + 1)
        if data[start : start + 1] != b"d" or data[body - 2 : body] != b" {":
            return None
        at = end + len(_END)
        found.append((start, body, at))
    return Layout(data, tuple(found))


def is_as_printed(data: bytes, printed: bytes) -> bool:
    """Whether LLVM, having read `data`, prints the same, but for comments and zeros in front of numbers."""
    mine, theirs = lay_out(data), lay_out(printed)
    return (
        mine is not None
        and theirs is not None
        and len(mine.functions) == len(theirs.functions)
        and _lines(mine.outside()) == _lines(theirs.outside())
        and all(_is_same(mine, theirs, n) for n in range(len(mine.functions)))
    )


def _is_same(mine: Layout, theirs: Layout, n: int) -> bool:
    one, other = mine.function(n), theirs.function(n)
    return one == other or _plain(one) == _plain(other)


def _plain(function: bytes) -> bytes:
    return _ZEROS.sub(b"", _PREDECESSORS.sub(b":", function))


def _lines(outside: bytes) -> list[bytes]:
    """The lines outside of functions, those of one kind in their order, without comments."""
    lines = [line for line in outside.split(b"\n") if line and line[:1] != b";" and line != _NAMELESS]
    return sorted(lines, key=lambda line: line[:1])


def frame_recipe(layout: Layout, reader: Compiler) -> Recipe:
    """All that decides whether the LLVM `reader` accepts functions: itself, and the text around them."""
    return Recipe(
        *own_record("accepted"),
        *compiler_fields(reader),
        *(("frame", piece) for piece in layout.frame()),
    )


class Accepted:
    """What is known of one text of IR: which of its functions the LLVM `reader` accepted before."""

    def __init__(self, data: bytes, reader: Compiler, store: EntryStore) -> None:
        self._store = store
        self._layout = lay_out(data)
        self._digests: list[bytes] = []
        self._known: frozenset[bytes] | None = None  # of functions in this frame
        if self._layout:
            self._key = frame_recipe(self._layout, reader).key()
            view = memoryview(data)
            spans = self._layout.functions
            self._digests = [hashlib.sha256(view[start:end]).digest()[:DIGEST] for start, _, end in spans]
            self._known = store.read(self._key, read_accepted)

    def new_functions(self) -> list[int] | None:
        """Numbers of the functions that LLVM must read first; None if it must read all of the text."""
        if self._known is None or self._layout is None:
            return None
        new = [n for n, digest in enumerate(self._digests) if digest not in self._known]
        return None if new and any(tie in self._layout.data for tie in _TIES) else new

    def accepts(self, new: Sequence[int], read: Callable[[bytes], str]) -> bool:
        """Has LLVM read functions, by number; True if it would print the whole text as it stands."""
        assert self._layout
        try:
            printed = lay_out(read(self._layout.only(new)).encode("latin-1"))
        except BuildError:
            return False
        if printed is None or len(printed.functions) != len(self._digests):
            return False
        return all(_is_same(self._layout, printed, n) for n in new)

    def save(self) -> None:
        """Keeps that LLVM accepts the functions of this text, and as many that it accepted before."""
        if self._layout:
            mine = dict.fromkeys(self._digests)
            rest = islice((digest for digest in self._known or () if digest not in mine), len(mine))
            self._store.save(Entry(self._key, b"".join([*mine, *rest]), form_of("accepted")))


def read_accepted(entry: Entry) -> frozenset[bytes]:
    """Digests of functions that LLVM accepted in one frame. Raises Malformed."""
    kept = entry.payload
    if len(kept) % DIGEST:
        raise Malformed("a part of a digest")
    return frozenset(kept[at : at + DIGEST] for at in range(0, len(kept), DIGEST))
