"""The programs of the benchmark, and how nativecache and its peers build them."""

import shutil
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import fetch
from bench.measure import Cost, Skipped, call
from harness import CLANG, PROGRAMS, has_tool

HERE = Path(__file__).resolve().parent
NLOHMANN = Path("/usr/include/nlohmann/json.hpp")
CLANGXX = "clang++-22"

# Functions of sqlite3.c to edit, one per pair, each found by a text that occurs once: one that is called
# through a table only, one with one caller, and three with many callers, of which the last two are short.
EDITS = (
    ("int typeHaystack, typeNeedle;\n  int N = 1;", "int typeHaystack, typeNeedle;\n  int N = {};"),
    ("rSortCost += 10;  ", "rSortCost += {};  "),
    ("  const int nByte = 32;\n", "  const int nByte = {};\n"),
    ("Z = (int)((p->iJD + 43200000)/86400000);", "Z = (int)((p->iJD + 4320{})/86400000);"),
    ("  LogEst y = 40;\n", "  LogEst y = {};\n"),
)


class Job(NamedTuple):
    """One run of a built program."""

    name: str
    arguments: tuple[str, ...] = ()
    stdin: Path | None = None


@dataclass(frozen=True)
class Peer:
    """A way to build with clang; `{space}` in a flag is the work's folder."""

    name: str
    compiling: tuple[str, ...] = ()
    linking: tuple[str, ...] = ()
    launcher: tuple[str, ...] = ()


PLAIN = Peer("clang")
SECTIONS = Peer("sections", ("-ffunction-sections", "-fdata-sections"), ("-Wl,--gc-sections",))
THIN = Peer("thin", ("-flto=thin",), ("-flto=thin", "-Wl,--thinlto-cache-dir={space}/thinlto"))
CCACHE = Peer("ccache", launcher=("env", "CCACHE_DIR={space}/ccache.d", "ccache"))
FRONT_END = Peer("front", ("-Xclang", "-disable-llvm-passes", "-emit-llvm"))
DEBUG = Peer("debug", ("-g",))
DEBUG_FRONT_END = Peer("debug-front", ("-g", *FRONT_END.compiling))
UNOPTIMISED = Peer("plain-O0", ("-O0",))
UNOPTIMISED_DEBUG = Peer("debug-O0", ("-O0", "-g"))


@dataclass(frozen=True)
class Work:
    """A program: its sources lie in `space`/src, everything built in `space`."""

    name: str
    space: Path
    sources: tuple[str, ...]
    flags: tuple[str, ...]
    libraries: tuple[str, ...]
    jobs: tuple[Job, ...]

    @property
    def folder(self) -> Path:
        return self.space / "src"

    @property
    def clang(self) -> str:
        return CLANGXX if self.sources[0].endswith(".cpp") else CLANG

    def ours(self, image: str, cache: str, *options: str) -> Cost:
        """Build with nativecache, with the cache in `space`/`cache`."""
        command = [sys.executable, "-m", "nativecache.cli.start", "build", "-q", "-O2", *self.flags, *options]
        command += ["--cflag=-w", "--cache-dir", str(self.space / cache), "-o", str(self.space / image)]
        return call([*command, *self.sources, "--", *self.libraries], self.folder)

    def compile(self, peer: Peer, *sources: str) -> Cost:
        """Compile some of the sources, by default all, one after the other."""
        cost = Cost(0, 0)
        for source in sources or self.sources:
            launcher = [word.format(space=self.space) for word in peer.launcher]
            command = [*launcher, self.clang, "-O2", "-w", *self.flags, *peer.compiling, "-c", source]
            cost += call([*command, "-o", self.object_file(peer, source)], self.folder)
        return cost

    def link(self, peer: Peer, image: str) -> Cost:
        flags = [flag.format(space=self.space) for flag in peer.linking]
        objects = [self.object_file(peer, source) for source in self.sources]
        command = [self.clang, "-O2", "-fuse-ld=lld", *flags, *objects, *self.libraries]
        return call([*command, "-o", str(self.space / image)], self.folder)

    def build(self, peer: Peer) -> Cost:
        """Build all of `space`/NAME with a peer."""
        return self.compile(peer) + self.link(peer, peer.name)

    def object_file(self, peer: Peer, source: str) -> str:
        return str(self.space / f"{peer.name}-{source}.o")

    def edit(self, number: int) -> None:
        """Edit one function of sqlite3.c, another one or in another way for every number."""
        old, new = EDITS[number % len(EDITS)]
        original = self.folder / "sqlite3.c.original"
        if not original.exists():
            shutil.copy(self.folder / "sqlite3.c", original)
        text = original.read_text()
        if text.count(old) != 1:
            raise SystemExit(f"bench: {text.count(old)} times {old!r} in sqlite3.c, it should be once")
        (self.folder / "sqlite3.c").write_text(text.replace(old, new.format(1000 + number)))

    def grow(self, source: str, number: int) -> None:
        """Add a function to one of the sources, another one for every number."""
        with open(self.folder / source, "a") as file:
            file.write(f"\nint nc_bench_{number}(int x) {{ return x * {number}; }}\n")

    def run(self, image: str, job: Job) -> tuple[Cost, bytes]:
        """Run a built program; its output goes through a file."""
        out = self.space / "output"
        words = ["program", *job.arguments]
        cost = call(words, self.space, stdin=job.stdin, stdout=out, executable=self.space / image)
        return cost, out.read_bytes()


def make_work(name: str, parent: Path) -> Work:
    """Put a program's sources in place. Raises Skipped, or what fetch raises for that."""
    space = parent / name
    folder = space / "src"
    folder.mkdir(parents=True)
    if name == "S":
        sqlite = fetch.sqlite_sources()
        for file in (sqlite / "sqlite3.c", sqlite / "sqlite3.h", PROGRAMS / "sqlmain.c"):
            shutil.copy(file, folder)
        macros = ("THREADSAFE=0", "OMIT_LOAD_EXTENSION", "ENABLE_FTS5", "ENABLE_MATH_FUNCTIONS")
        flags = tuple(f"-DSQLITE_{macro}" for macro in macros)
        sql = Job("SQL", stdin=HERE / "bench.sql")
        return Work(name, space, ("sqlmain.c", "sqlite3.c"), flags, ("-lm",), (sql,))
    if name == "L":
        lua = fetch.lua_sources()
        for file in lua.glob("*.[ch]"):
            shutil.copy(file, folder)
        sources = tuple(file.name for file in fetch.lua_program(lua))
        jobs = tuple(Job(file.name, (str(file),)) for file in sorted(HERE.glob("*.lua")))
        return Work(name, space, sources, ("-DLUA_USE_POSIX",), ("-lm",), jobs)
    if name == "T":
        shutil.copy(HERE / "small.c", folder)
        return Work(name, space, ("small.c",), (), (), (Job("words", ("two", "one", "three")),))
    if not NLOHMANN.exists():
        raise Skipped(f"no {NLOHMANN}")
    shutil.copytree(HERE / "json", folder, dirs_exist_ok=True)
    sources = tuple(sorted(file.name for file in folder.glob("*.cpp")))
    return Work(name, space, sources, ("-std=c++20",), (), (Job("JSON"),))


def sizes(image: Path) -> tuple[int, int]:
    """Bytes of the stripped image, and of the code in it. Raises Skipped."""
    strip = next((tool for tool in ("llvm-strip-22", "strip") if has_tool(tool)), None)
    if strip is None:
        raise Skipped("no strip")
    stripped = image.with_name(image.name + ".stripped")
    call([strip, "-o", stripped, image], image.parent)
    data = stripped.read_bytes()
    (offset,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    # Elf64_Shdr: name, type, flags, address, offset, size; bit 2 of the flags is SHF_EXECINSTR.
    headers = [struct.unpack_from("<IIQQQQ", data, offset + size * n) for n in range(count)]
    return len(data), sum(header[5] for header in headers if header[2] & 4)


def on_disk(folder: Path) -> int:
    """Bytes that the files in a folder occupy."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
