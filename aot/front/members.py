"""Compiles the bitcode in an archive, member by member, so that the linker takes of it what it needs.

Which members of an archive an image gets is for the linker to say: those that define what is undefined where
it comes to them, in an order that is its own. A member that took part in the build as other inputs do would
always be there, with its constructors, and its definitions against others' of the same name. So each is
compiled whole by clang, as it would have been without `-flto`, and the archive goes to the link as it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from nativecache.aot.codegen import llvm
from nativecache.aot.codegen.triples import named_target, normalise, refusal
from nativecache.aot.errors import BuildError
from nativecache.aot.front import clang
from nativecache.aot.front.contents import BITCODE
from nativecache.aot.front.sources import ClangJobs, FrontEnd
from nativecache.aot.pool import Job, Pool, WorkerDied
from nativecache.aot.threads import Threads
from nativecache.cache.dependencies import measure
from nativecache.cache.entry import Entry
from nativecache.cache.lookup import EntryStore
from nativecache.cache.recipe import Recipe
from nativecache.linker import lazy_re as re
from nativecache.linker.archive import read_archive, write_archive
from nativecache.linker.errors import BadObject
from nativecache.linker.files import read_plain, why_unread

#: Raised whenever what a member becomes depends on more than before.
SCHEMA: Final = 2

#: Compilers' flags that say how code is generated; the others have had their effect when bitcode was made.
_CODE: Final = re.compile(
    r"-m(?!llvm)[a-z]|-f(?:no-)?(?:pi[ce]|PI[CE]|plt|function-sections|data-sections|semantic-interposition)$"
)


def compile_members(
    path: Path, sources: ClangJobs, store: EntryStore, *, threads: int, output: Path
) -> list[str]:
    """Writes the archive `path` to `output` with objects for its bitcode. Returns clang's warnings.

    Raises BuildError with every member that cannot be compiled, each on a line of its own.
    """
    try:
        members = list(read_archive(read_plain(path), path.parent))
    except BadObject as error:
        raise BuildError(f"{path}: cannot be read: {error}") from None
    except OSError as error:
        raise BuildError(f"{path}: cannot be read: {why_unread(path, error)}") from None
    archive = _Archive(path, members, sources)
    keys = archive.keys()
    objects = {n: entry.payload for n, key in keys.items() if (entry := store.load(key))}
    made, problems = archive.compile([n for n in keys if n not in objects], threads, output)
    warnings: list[str] = []
    for n, (content, said) in made.items():
        objects[n] = content
        if said:
            warnings.append(said.rstrip())
        else:  # what is said is said every time
            store.save(Entry(keys[n], content, {}))
    if problems:
        raise BuildError(*problems)
    # Under their own symbols, which `ar` lists for the linker.
    written = write_archive(
        ((name, objects.get(n, content)) for n, (name, content) in enumerate(members)), symbol_index=True
    )
    output.write_bytes(written)
    return warnings


class _Archive:
    """The members of one archive, by number, and the clang that compiles those that are bitcode."""

    def __init__(self, path: Path, members: Sequence[tuple[str, bytes]], sources: ClangJobs) -> None:
        self._path, self._members, self._sources = path, members, sources
        self._end = sources.end
        self._flags = tuple(flag for flag in self._end.flags if _CODE.match(flag))

    def keys(self) -> dict[int, str]:
        """The keys of the objects for all members that are bitcode."""
        return {
            n: member_recipe(self._end, self._flags, content).key()
            for n, (_, content) in enumerate(self._members)
            if content.startswith(BITCODE)
        }

    def compile(
        self, new: Sequence[int], threads: int, output: Path
    ) -> tuple[dict[int, tuple[bytes, str]], list[str]]:
        """Objects for some members with what clang said of each, and why the others cannot be compiled."""
        members = {n: self._members[n] for n in new}
        triples = _triples(self._path, members, threads, named_target(self._end.flags))
        if self._end.cache:
            self._end.cache.compilers.programs[_program(self._end)] = None
        made: dict[int, tuple[bytes, str]] = {}
        problems: list[str] = []
        with Threads(threads) as beside:
            jobs = {n: beside.submit(partial(self._run, n, triples[n], output)) for n in new}
            for n, job in jobs.items():
                try:
                    made[n] = job.result()
                except BuildError as error:
                    problems += error.problems
                except BaseException:
                    self._sources.close()
                    raise
        return made, problems

    def _run(self, n: int, triple: str, output: Path) -> tuple[bytes, str]:
        name, content = self._members[n]
        label, bitcode = Path(f"{self._path}({name})"), output.with_suffix(f".{n}.bc")
        bitcode.write_bytes(content)
        try:
            command = [*self._end.clang.command, f"-O{self._end.level}", f"--target={triple}", *self._flags]
            made = output.with_suffix(f".{n}.o")
            return clang.compile_bitcode(command, bitcode, label, made, self._sources.running)
        finally:
            bitcode.unlink()


def member_recipe(end: FrontEnd, flags: Sequence[str], bitcode: bytes) -> Recipe:
    """All that the object for a member's bitcode depends on."""
    return Recipe(
        ("kind", "member"),
        ("schema", str(SCHEMA)),
        ("clang", str(end.clang.version)),
        *(("command", word) for word in end.clang.command),
        ("program", measure("program", (_program(end),), {})),
        ("host", str(llvm.host()) if any("native" in flag for flag in flags) else ""),
        ("level", str(end.level)),
        *(("flag", flag) for flag in flags),
        ("bitcode", bitcode),
    )


def _program(end: FrontEnd) -> str:
    from shutil import which

    return which(end.clang.command[0]) or end.clang.command[0]


def _triples(
    path: Path, members: dict[int, tuple[str, bytes]], threads: int, target: str | None
) -> dict[int, str]:
    """The target triple of each member's bitcode, by the member's number; it is read in workers.

    Raises BuildError with every member that LLVM cannot read, or whose target is not that of the build.
    """
    if not members:
        return {}
    found: dict[int, str] = {}
    problems: list[str] = []
    with Pool(threads, {"triple": lambda n: llvm.read_triple(members[n][1])}) as pool:
        for n in members:
            pool.submit(Job("triple", n, (n,)))
        for done in pool.results():
            n = done.job.tag
            label = f"{path}({members[n][0]})"
            if isinstance(done.error, WorkerDied):
                problems.append(f"{label}: LLVM cannot read it ({done.error}); is the file damaged?")
            elif done.error:
                problems.append(f"{label}: {done.error}")
            else:
                found[n] = normalise(done.result or target or llvm.host()[0])
                if why := refusal(found[n], "object"):
                    problems.append(f"{label}: {why}")
                elif llvm.platform(found[n]) != llvm.platform(target or found[n]):
                    problems.append(f"{label}: is for {found[n]}, but the build is for {target}")
    if problems:
        raise BuildError(*sorted(problems))
    return found
