"""What is kept of a run of clang: its answers, and a manifest of the dependencies under which each holds."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from nativecache.cache.dependencies import Dependency, check_dependency
from nativecache.cache.entry import Entry
from nativecache.cache.format import check_key
from nativecache.cache.shape import Malformed, check, list_of, nullable, read_json, record, row, text, whole
from nativecache.linker.values import dataclass, replace

#: The most that an answer may unfold to. No IR of half of that is known.
_LARGEST: Final = 1 << 31


Variant: TypeAlias = tuple[tuple[Dependency, ...], str]
Search: TypeAlias = tuple[tuple[str, ...], tuple[Dependency, ...]]

#: Sets of dependencies per manifest. ccache keeps up to a hundred; a set is some
#: kilobytes, a result megabytes.
_VARIANTS: Final = 8
#: Bytes that are compared at once.
_STEP: Final = 1 << 16


class Answer:
    """What clang wrote, and its warnings. `dated`: whether it met the time of day, if it was asked.

    `depfile`: the text that it wrote to its depfile, where the question is about that, too.

    One that was kept is unfolded when its output is asked for: its digest tells whether that is needed. Most
    edits change a text in one place: then only that is kept, and the rest is taken from another answer.
    """

    def __init__(self, output: bytes, messages: str, dated: bool | None = None, depfile: str = "") -> None:
        self.messages, self.dated, self.depfile = messages, dated, depfile
        self._output: bytes | None = output
        self._folded, self._size, self._digest = b"", len(output), ""
        self._load: Callable[[], Answer | None] | None = None
        self._shared = 0, 0
        #: The key of the answer that has the rest of it, for `join`; "" if it has all itself.
        self.base = ""

    @classmethod
    def folded(
        cls,
        data: bytes,
        size: int,
        digest: str,
        messages: str,
        base: str = "",
        shared: tuple[int, int] = (0, 0),
    ) -> Answer:
        """An answer as it was kept: `data` unfolds to `size` bytes of that digest.

        With a `base` the bytes at the start and the end, as many as in `shared`, are that one's.
        """
        answer = cls(b"", messages)
        answer.base, answer._shared = base, shared
        answer._output, answer._folded, answer._size, answer._digest = None, data, size, digest
        return answer

    @classmethod
    def later(cls, load: Callable[[], Answer | None], digest: str, messages: str) -> Answer:
        """An answer that is read when its output is asked for: its digest is known."""
        answer = cls.folded(b"", 0, digest, messages)
        answer._load = load
        return answer

    @property
    def output(self) -> bytes:
        """What clang wrote. Raises Malformed where that was kept and cannot be had any more."""
        if self._output is None and self._load is not None:
            kept = self._load()
            if kept is None or kept.digest != self._digest:
                raise Malformed("an answer that is gone")
            self._output = kept.output
        if self._output is None:
            self._output = _unfold(self._folded, self._size)
        return self._output

    def can_be_had(self) -> bool:
        """Whether its output is at hand, or can still be read."""
        try:
            return self.output is not None
        except Malformed:
            return False

    def join(self, base: Answer | None) -> None:
        """Takes the start and the end of the output from another answer. Raises Malformed."""
        start, end = self._shared
        if base is None or start + end > min(base.size, self._size):
            raise Malformed("an answer whose rest is gone")
        rest = base.output
        middle = _unfold(self._folded, self._size - start - end)
        output = b"".join((rest[:start], middle, rest[len(rest) - end :]))
        if hashlib.sha256(output).hexdigest() != self._digest:
            raise Malformed("an answer whose rest is another one's")
        self._output = output

    def replace(self, other: Answer) -> None:
        """Takes another answer's output in place of its own, which cannot be had."""
        self._output, self._digest = other.output, other.digest

    @property
    def size(self) -> int:
        """The output's length in bytes."""
        return self._size

    @property
    def digest(self) -> str:
        """The SHA-256 of the output in hexadecimal."""
        if not self._digest:
            self._digest = hashlib.sha256(self.output).hexdigest()
        return self._digest


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is known of a question: sets of dependencies, the one used last first, with their answers' keys.

    `search`: the folders where clang looks for headers, and what that depends on. `dated`: clang, when it was
    last asked, met the time of day. `base`: the key of an answer that is kept as a whole, "" for none; others
    may be kept by what differs from it. `spoke`: clang had something to say with the last answer.
    `output`: of the build that last asked clang, by absolute path, "" if that is not known: that build's
    index (front_index.py) may have answers about other sources, too.
    """

    search: Search | None = None
    variants: tuple[Variant, ...] = ()
    dated: bool = False
    base: str = ""
    spoke: bool = False
    output: str = ""

    def used(self, number: int) -> Manifest:
        """The manifest with one set of dependencies, given by its number, moved to the front."""
        first = self.variants[number]
        others = (*self.variants[:number], *self.variants[number + 1 :])
        return replace(self, variants=(first, *others))

    def found_on(self, search: Search) -> Manifest:
        """The manifest with another place to look for headers, and without the answers from before."""
        return replace(self, search=search, variants=(), base="", output="")

    def met_time_of_day(self) -> Manifest:
        """The manifest after a run of clang that met the time of day."""
        return replace(self, dated=True)

    def with_answer(self, dependencies: tuple[Dependency, ...], key: str, *, spoke: bool = False) -> Manifest:
        """The manifest with an answer, first, that holds under some dependencies; the oldest may go."""
        others = [variant for variant in self.variants if variant[1] != key]
        variants = ((dependencies, key), *others)[:_VARIANTS]
        # One that is no longer looked for is no longer used, and will be pruned.
        base = self.base if self.base in (known for _, known in variants) else key
        return replace(self, variants=variants, dated=False, base=base, spoke=spoke)


def encode_manifest(manifest: Manifest) -> bytes:
    """The bytes of a manifest: dependencies in one table, for most of them are in all sets."""
    numbers: dict[Dependency, int] = {}

    def indexed(dependencies: Iterable[Dependency]) -> list[int]:
        return [numbers.setdefault(dependency, len(numbers)) for dependency in dependencies]

    search = manifest.search and [list(manifest.search[0]), indexed(manifest.search[1])]
    variants = [[indexed(dependencies), key] for dependencies, key in manifest.variants]
    known = {
        "search": search,
        "variants": variants,
        "dependencies": list(numbers),
        "dated": int(manifest.dated),
        "base": manifest.base,
        "spoke": int(manifest.spoke),
        "output": manifest.output,
    }
    return json.dumps(known).encode()


_DEPENDENCIES: Final = list_of(row(text(), text(), list_of(text())))
_NUMBERS: Final = list_of(whole())
_MANIFEST: Final = record(
    {
        "dependencies": _DEPENDENCIES,
        "search": nullable(row(list_of(text()), _NUMBERS)),
        "variants": list_of(row(_NUMBERS, text())),
        "dated": whole(0, 1),
        "base": text(),
        "spoke": whole(0, 1),
        "output": text(),
    }
)


def read_manifest(entry: Entry) -> Manifest:
    """The manifest of a question: sets of dependencies, and keys of answers. Raises Malformed."""
    found = read_json(entry.payload, _MANIFEST)
    table: list[Dependency] = [
        Dependency(kind, value, tuple(subjects)) for kind, value, subjects in found["dependencies"]
    ]
    search = found["search"]
    try:
        for dependency in table:
            check_dependency(dependency)
        for _, key in found["variants"]:
            check_key(key)
        if found["base"]:
            check_key(found["base"])
        return Manifest(
            (tuple(search[0]), tuple(table[n] for n in search[1])) if search else None,
            tuple((tuple(table[n] for n in numbers), key) for numbers, key in found["variants"]),
            bool(found["dated"]),
            found["base"],
            bool(found["spoke"]),
            found["output"],
        )
    except (ValueError, IndexError) as error:
        raise Malformed(str(error)) from None


_ANSWER: Final = record(
    {"messages": text(), "size": whole(0, _LARGEST), "digest": text(longest=64)},
    optional={"form": text(), "base": text(), "shared": row(whole(), whole()), "depfile": text()},
)


def read_answer(entry: Entry, *, closely: bool = False) -> Answer:
    """What clang made; it unfolds to the size that its metadata says and no further. Raises Malformed.

    `closely`: unfolds it now; a build does so where it needs the output.
    """
    check(entry.meta, _ANSWER)
    size: Any = entry.meta["size"]
    digest, messages = str(entry.meta["digest"]), str(entry.meta["messages"])
    answer = Answer.folded(entry.payload, size, digest, messages, *_read_rest(entry))
    answer.depfile = str(entry.meta.get("depfile", ""))
    if closely and not answer.base and hashlib.sha256(answer.output).hexdigest() != answer.digest:
        raise Malformed("another output than is said")
    return answer


def _read_rest(entry: Entry) -> tuple[str, tuple[int, int]]:
    """The key of the answer that has the rest of one, and how much of its start and its end."""
    if "base" not in entry.meta and "shared" not in entry.meta:
        return "", (0, 0)
    base, shared = entry.meta.get("base"), entry.meta.get("shared")
    try:
        check_key(str(base))
    except ValueError as error:
        raise Malformed(str(error)) from None
    if not isinstance(shared, list) or base == entry.key:
        raise Malformed("an answer without its rest")
    return str(base), (shared[0], shared[1])


def shared_ends(one: bytes, other: bytes) -> tuple[int, int]:
    """How many bytes two texts have in common at their start, and how many more at their end."""
    most = min(len(one), len(other))
    start = _same(lambda at, end: one[at:end] == other[at:end], most)
    first, second = len(one), len(other)
    return start, _same(
        lambda at, end: one[first - end : first - at] == other[second - end : second - at], most - start
    )


def _same(is_same: Callable[[int, int], bool], most: int) -> int:
    """How far two texts are the same, of `most` bytes: `is_same(at, end)` compares parts of them."""
    at, step = 0, _STEP
    while step and at < most:
        if is_same(at, min(at + step, most)):
            at = min(at + step, most)
        else:
            step //= 2
    return at


def _unfold(data: bytes, size: int) -> bytes:
    unfolding = zlib.decompressobj()
    try:
        output = unfolding.decompress(data, size + 1)
    except zlib.error as error:
        raise Malformed(str(error)) from None
    if len(output) != size or not unfolding.eof or unfolding.unused_data:
        raise Malformed("another size than is said")
    return output
