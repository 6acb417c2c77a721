"""What a build did, and how long each of its phases took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from nativecache.aot.front.sources import cpu_seconds
from nativecache.aot.verify import Mismatch
from nativecache.cache.dependencies import Dependency
from nativecache.linker.values import dataclass, field


@dataclass(frozen=True, slots=True)
class Phase:
    """Seconds of wall time and of processor time, workers' and children's included."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class CompiledUnit:
    """A unit that the cache did not hold. `name`: what its source calls its function, for messages."""

    name: str
    kind: str
    milliseconds: float
    #: Whether its own code is that of the last build, so that only what it inlines can have changed.
    importer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a build did.

    `units`: how many the image needs; `functions`: those of them with code; `hits`, `function_hits`: how many
    of either were not compiled. `shared`: units that took the object of an equal one; `grouped`: units of
    several functions; `unreached`: units that nothing needed; `compiled`: units that the cache did not hold;
    `corrupt`: damaged entries that were found. `saved_seconds`: what the hits took to compile when they were.
    `whole`: files that clang compiled whole, `whole_hits` of them found in the cache. `phases`: seconds by
    the phase's name.
    """

    output: str
    units: int
    functions: int
    function_hits: int
    hits: int
    shared: int
    grouped: int
    unreached: int
    compiled: tuple[CompiledUnit, ...]
    corrupt: int
    saved_seconds: float
    whole: tuple[str, ...]
    whole_hits: int
    warnings: tuple[str, ...]
    phases: dict[str, Phase]
    wall_seconds: float
    image_bytes: int
    #: Modules that were planned anew; of the others some functions at the most were looked at.
    planned_modules: int = 0
    #: Why clang compiled files whole, if it did so for what is in them or for a flag.
    whole_for: str = ""
    #: Why files are compiled in one unit each, for what their asm may do, by file.
    sealed: Mapping[str, str] = field(default_factory=dict)
    #: Source files, and how many of them clang need not read again.
    sources: int = 0
    sources_unchanged: int = 0
    #: How many of them were compiled on a preamble that was precompiled in an earlier build.
    on_preambles: int = 0
    #: Why clang has to read a source file again in the next build, by file; empty if it need not.
    not_kept: Mapping[str, str] = field(default_factory=dict)
    #: Why the next build cannot be known to have nothing to do though all of its inputs can be noted, or "".
    doubts: str = ""
    #: Why misses were none of the cache: new, changed, pruned, corrupt, llvm, options.
    missed: Mapping[str, int] = field(default_factory=dict)
    #: Hits and sources on preambles that were compiled again, and those of them that were wrong.
    verified: int = 0
    mismatches: tuple[Mismatch, ...] = ()
    #: The value of the output's `image` dependency (see cache/dependencies.py) as this build wrote it.
    image: str = ""
    #: All that the build read, as dependencies; None where that cannot be told.
    reads: tuple[Dependency, ...] | None = None

    @property
    def importers(self) -> int:
        """How many units were compiled only because something that they inline has changed."""
        return sum(unit.importer for unit in self.compiled)

    @property
    def misses(self) -> int:
        """How many units were compiled because the cache had no object of their keys."""
        return len(self.compiled)


class Clock:
    """Divides a build's wall and processor time among named phases, each moment to one of them.

    What happens within a phase within a phase is the inner one's; what no phase holds is called `rest`.
    """

    def __init__(self, start: float, start_cpu: float) -> None:
        self.phases: dict[str, Phase] = {}
        self._open = ["start"]  # until the first phase: clang is started, and the rest of us loaded
        self._wall, self._cpu = start, start_cpu

    def add(self, name: str, wall: float, cpu: float) -> None:
        """Adds seconds that someone else measured to the phase `name`."""
        old = self.phases.get(name, Phase(0.0, 0.0))
        self.phases[name] = Phase(old.wall + wall, old.cpu + cpu)

    def move(self, part: str, of: str, wall: float, cpu: float) -> None:
        """Books seconds of the phase `of` for the phase `part`: no more processor time than `of` has."""
        cpu = max(0.0, min(cpu, self.phases[of].cpu if of in self.phases else 0.0))
        self.add(part, wall, cpu)
        self.add(of, -wall, -cpu)

    @property
    def current(self) -> str:
        """The phase that time passes for."""
        return self._open[-1]

    def charge(self, name: str | None = None) -> None:
        """Books the time since the last charge for the phase `name`, or for the current one."""
        wall, cpu = time.perf_counter(), cpu_seconds()
        self.add(name or self._open[-1], wall - self._wall, cpu - self._cpu)
        self._wall, self._cpu = wall, cpu

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Takes the time until the block ends for a phase, but for what phases within it take."""
        self.charge()
        if self._open == ["start"]:
            self._open = ["rest"]
        self._open.append(name)
        try:
            yield
        finally:
            self.charge()
            self._open.pop()
