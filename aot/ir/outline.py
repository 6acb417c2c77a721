"""Tells which functions of a printed module are other ones than before, without indexing it.

To index a module and to fingerprint its functions is most of what an edit of a large file costs (sqlite3.c,
20 MB of IR: 0.9 s); to cut it into functions and to make a digest of each costs 0.05 s. Where all around
them is what it was, numbers of nodes, attributes and strings are, too, so that equal text means the same.
Of debug information the checksums of sources are left out, for every edit changes one; all else in it counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from nativecache.aot.ir.syntax import FUNCTION, Cut, cut_functions
from nativecache.aot.key import DIGEST, bytes_digest, text_digest, value_digest
from nativecache.aot.packed import decode_names, encode_names
from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass, replace

#: Hexadecimal digits of a function's digest.
WIDTH: Final = 32
_DESCRIBED: Final = "\n!llvm.dbg.cu = "
#: What stands before the checksum of a source in a node of debug information (DIFile): in no text between
#: quotation marks, where these are escaped.
_CHECKSUM_BEGIN: Final = ', checksum: "'
_CHECKSUM: Final = re.compile(r'[0-9a-f]+"')


@dataclass(frozen=True, slots=True)
class Outline:
    """A printed module in digests, in hexadecimal.

    `around`: of all but the definitions of functions. `tokens`: of these functions, in order, packed, and
    `digests`: of their texts (key.text_digest), one behind the other. `tied`: tokens of those that have
    inline asm, or that name an address of a block, packed. `read` and `rest`: as `digests` and `around`, of
    what the module has once its debug information is normalised; "" where it has none, or is not read yet.
    """

    around: str
    tokens: str
    digests: str
    tied: str
    read: str = ""
    rest: str = ""

    @property
    def functions(self) -> frozenset[str]:
        """The digests of the functions' texts."""
        return frozenset(_part(self.digests, n) for n in range(len(self.digests) // WIDTH))

    def digest(self, token: str) -> bytes:
        """The digest of a function's text in its module. Raises ValueError where it has none."""
        n = decode_names(self.tokens).index(token)
        return bytes.fromhex(_part(self.read or self.digests, n))

    def reading(self, texts: Mapping[str, str], rest: str, before: Outline | None = None) -> Outline:
        """The same with digests of functions' texts as their module has them; others as `before` has them."""
        known = before.read if before else ""
        digests = (
            text_digest(texts[token]).hex() if token in texts else _part(known, n)
            for n, token in enumerate(decode_names(self.tokens))
        )
        return replace(self, read="".join(digests), rest=rest)

    def differing(self, other: Outline) -> list[str] | None:
        """Tokens of the functions whose texts are others there; None where more than such texts differs.

        More is also what a function does that others may have to do with.
        """
        if self.around != other.around:
            return None
        return self._differing(other, self.digests, other.digests)

    def differing_as_read(self, other: Outline) -> list[str] | None:
        """The same of what their modules have: numbers of nodes, and lines, make no difference."""
        if not self.rest or self.rest != other.rest:
            return None
        return self._differing(other, self.read, other.read)

    def _differing(self, other: Outline, before: str, now: str) -> list[str] | None:
        if (self.tokens, len(before)) != (other.tokens, len(now)):
            return None
        found = [
            token for n, token in enumerate(decode_names(self.tokens)) if _part(before, n) != _part(now, n)
        ]
        tied = {*decode_names(self.tied), *decode_names(other.tied)}
        return found if tied.isdisjoint(found) else None


@dataclass(frozen=True, slots=True)
class Outlined:
    """What is told of a printed module: its outline, and a digest, in hexadecimal, of all that it holds."""

    outline: Outline
    content: str


def outline(text: str) -> Outline:
    """The outline of a printed module."""
    return outline_text(text, text.encode("latin-1"), cut_functions(text)).outline


def outline_text(text: str, data: bytes, cuts: Iterable[Cut], begin: int = 0, head: str = "") -> Outlined:
    """The outline of a printed module, and what it holds; nothing of the text is copied for it.

    `data`: the text, in bytes; `cuts`: where its functions are. `head` counts in place of what is before
    `begin`, which is before all functions.
    """
    tokens, digests, tied = list[str](), list[str](), list[str]()
    view, around, at = memoryview(data), hashlib.sha256(head.encode("latin-1")), 0
    for before, start, at, is_tied in cuts:
        around.update(view[max(before, begin) : start])
        around.update(b"\0")
        found = FUNCTION.match(text, start)
        if found is None:
            raise ValueError(f"not a function header: {text[start : start + 200]}")
        tokens.append(found[9])
        digests.append(bytes_digest(view[start:at]).hex())
        if is_tied:
            tied.append(found[9])
    at, checksums = max(at, begin), list[str]()
    if text.find(_DESCRIBED, at) >= 0:
        for start, end in _find_checksums(text, at):
            around.update(view[at:start])
            checksums.append(text[start:end])
            at = end
    around.update(view[at:])
    names = encode_names(tokens), "".join(digests), encode_names(tied)
    known = Outline(around.digest()[:DIGEST].hex(), *names)
    content = value_digest((known.around, known.tokens, known.digests, checksums)).hex()
    return Outlined(known, content)


def _find_checksums(text: str, at: int) -> Iterator[tuple[int, int]]:
    """Where checksums of sources begin and end behind a place in printed debug information."""
    while (at := text.find(_CHECKSUM_BEGIN, at)) >= 0:
        at += len(_CHECKSUM_BEGIN)
        found = _CHECKSUM.match(text, at)
        if found:
            yield found.span()


def _part(digests: str, n: int) -> str:
    """One of several digests."""
    return digests[n * WIDTH : (n + 1) * WIDTH]
