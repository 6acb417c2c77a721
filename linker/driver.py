"""Finds a compiler driver and a linker, and links one image with them.

The image depends on the job and on nothing else: the linker writes into a temporary folder beside the
output, under the output's own file name (GNU ld records it where there is a version script), and the result
is moved into place. A failed or interrupted link leaves an older output untouched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nativecache.linker.archive import read_archive
from nativecache.linker.diagnostics import condense, warnings
from nativecache.linker.errors import LinkError
from nativecache.linker.output import is_special, move, temporary_name
from nativecache.linker.shown import shown
from nativecache.linker.signals import hold_signals, temporary_folder
from nativecache.linker.waiting import Waiting

if TYPE_CHECKING:
    from pathlib import Path

    from nativecache.linker.alike import Reading

Family = Literal["gcc", "clang", "zig"]
LinkerName = Literal["mold", "lld", "gold", "bfd"]

_NEWEST_LLVM, _OLDEST_LLVM = 30, 14
_LLVM_VERSIONS = range(_NEWEST_LLVM, _OLDEST_LLVM - 1, -1)

# gcc before clang: as a link driver it takes 15 ms less.
_C_DRIVERS = ("cc", "gcc", "clang", *(f"clang-{v}" for v in _LLVM_VERSIONS))
_CPLUSPLUS_DRIVERS = ("c++", "g++", "clang++", *(f"clang++-{v}" for v in _LLVM_VERSIONS))

# zig's defaults bake in debug information, checks for undefined behaviour and the host's kernel and CPU.
_ZIG_FLAGS = ("-g0", "-fno-sanitize=undefined")
_ZIG_TARGET = "x86_64-linux-gnu"

_LINKER_FILES: dict[LinkerName, tuple[str, ...]] = {
    "mold": ("ld.mold", "mold"),
    "lld": (
        "ld.lld",
        *(f"ld.lld-{v}" for v in _LLVM_VERSIONS),
        *(f"/usr/lib/llvm-{v}/bin/ld.lld" for v in _LLVM_VERSIONS),
    ),
    "gold": ("ld.gold",),
    "bfd": ("ld.bfd",),
}

# Fastest first. An archive of 2,600 objects of 1.7 kB under --whole-archive, gcc as driver, whole process,
# two cores, median of nine: mold 1.10 33 ms, lld 22 37 ms, gold 45 ms, bfd 2.40 155 ms. gold is left out
# because binutils no longer maintains it.
_AUTO_ORDER: tuple[LinkerName, ...] = ("mold", "lld", "bfd")
# `mold -r` (1.10) makes hidden thread-local symbols visible.
_AUTO_ORDER_RELOCATABLE: tuple[LinkerName, ...] = ("lld", "bfd")
# lld links for all machines, with all relocations of the LLVM that it came with.
_AUTO_ORDER_ELSEWHERE: tuple[LinkerName, ...] = ("lld", "mold", "bfd")
# Of common symbols of one name mold (1.10) takes the first, not the largest.
_AUTO_ORDER_COMMON: tuple[LinkerName, ...] = ("lld", "bfd", "mold")
# From which version mold has the relocations that LLVM writes for a machine: RISC-V's for differences as
# ULEB128, which debug information has, since 2.0, mended later; LoongArch at all since 2.3.
_MOLD_SINCE = {"riscv64": (2, 4), "loongarch64": (2, 4)}
_MOLD_MACHINES = ("x86_64", "aarch64", "powerpc64le", *_MOLD_SINCE)
# What GNU ld calls the machines, in its list of emulations.
_EMULATIONS = {
    "x86_64": "elf_x86_64",
    "aarch64": "aarch64linux",
    "riscv64": "elf64lriscv",
    "loongarch64": "elf64loongarch",
    "powerpc64le": "elf64lppc",
}

# What scripts are written for, and how: mold 1.10 knows no SECTIONS and crashes on `--defsym=a=b+1`.
_AUTO_ORDER_SCRIPTED: tuple[LinkerName, ...] = ("bfd", "lld")
# By what the options are read like (see alike.py): that the image is right comes before how fast it is made.
_AUTO_ORDER_READ: dict[Reading, tuple[LinkerName, ...]] = {
    "exports": ("lld", "bfd", "mold"),
    "unlike": ("bfd", "lld", "mold"),
    "llvm": ("lld", "mold", "bfd"),
}
#: A word that names a library that may be a shared one.
_LIBRARY = re.compile(r"\.so(?:$|[.,])|(?:^|,)-l|--library")

#: What linkers say of a disk on which the image has no room.
_FULL = re.compile(r"No space left on device|Disk quota exceeded|Disk full\?|Bus error")
#: The latter is what writing to a mapped file ends with.
_GUESSED = ("Disk full?", "Bus error")

#: All names that are looked for on PATH.
SEARCHED = tuple(
    dict.fromkeys((*_C_DRIVERS, *_CPLUSPLUS_DRIVERS, *(n for names in _LINKER_FILES.values() for n in names)))
)


class Killed(LinkError):
    """A tool was killed twice before it could answer."""


@dataclass(frozen=True)
class Driver:
    """A command that links when given objects, and the family whose flags it takes."""

    command: tuple[str, ...]
    family: Family


@dataclass(frozen=True)
class Linker:
    """A linker program; `path` is absolute."""

    path: str
    name: LinkerName


@dataclass(frozen=True)
class Whole:
    """An archive, in memory or in a file, of which every member is linked where it stands."""

    archive: bytes | Path


@dataclass(frozen=True, kw_only=True)
class LinkJob:
    """What to link: `items` in order, of which words are files and options, taken verbatim.

    `linker` None leaves the choice to the driver, and zig always uses its own. `target` is passed to clang
    and zig; a gcc has one target only. `pie` None is the driver's default. `gc_sections` does not apply to
    kind 'object', which keeps everything. With `loose` the members of archives are given to the linker as
    files of their names, for options and scripts that treat archives unlike objects.
    """

    output: Path
    kind: Literal["exe", "shared", "object"]
    items: tuple[str | Whole, ...]
    driver: Driver
    linker: Linker | None = None
    gc_sections: bool = False
    pie: bool | None = None
    target: str | None = None
    loose: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """The items that are words."""
        return tuple(item for item in self.items if isinstance(item, str))


@dataclass(frozen=True)
class LinkResult:
    """The command that was run (its temporary folder is gone by now) and the linker's warnings.

    `reads` are the files that the linker read, without the job's own archives; None where it cannot tell.
    """

    command: tuple[str, ...]
    warnings: tuple[str, ...]
    reads: tuple[str, ...] | None = None
    #: Whether the image is a new file, not the content of what was there.
    replaced: bool = True


def find_driver(explicit: str | None, *, cplusplus: bool, environ: Mapping[str, str]) -> Driver:
    """The driver named by the user, else the first on PATH, else the one in the `ziglang` package.

    `explicit` may hold arguments (`ccache gcc`); with `cplusplus` its C++ sibling is taken (`clang-22` →
    `clang++-22`) where there is one. Raises LinkError.
    """
    if explicit:
        command = _split(explicit, environ)
        if cplusplus:
            sibling = _which(_cplusplus_sibling(command[-1]), environ)
            command = (*command[:-1], sibling) if sibling else command
        return Driver(command, _family(command, environ))
    for name in _CPLUSPLUS_DRIVERS if cplusplus else _C_DRIVERS:
        if path := _which(name, environ):
            return Driver((path,), _family((path,), environ))
    if zig := find_zig():
        return Driver((zig, "c++" if cplusplus else "cc"), "zig")
    kind = "C++" if cplusplus else "C"
    raise LinkError(f"no {kind} compiler to link with: install gcc or clang, or `pip install ziglang`")


def find_linker(
    name_or_path: str,
    environ: Mapping[str, str],
    *,
    relocatable: bool = False,
    machine: str = "x86_64",
    common: bool = False,
    scripted: bool = False,
    reading: Reading = "alike",
) -> Linker | None:
    """The linker called 'mold', 'lld', 'gold' or 'bfd', or at a path; 'auto' is the fastest one present.

    `relocatable` says that 'auto' shall choose one for kind 'object'; it chooses only what links for
    `machine`, an architecture in LLVM's words, is right by `common` symbols, takes any script if `scripted`,
    and reads the options (see alike.py). None only for 'auto' when there is none to choose. Raises LinkError
    when the one asked for is missing.
    """
    elsewhere = machine != "x86_64"
    auto = _AUTO_ORDER_ELSEWHERE if elsewhere else _AUTO_ORDER
    if common:
        auto = _AUTO_ORDER_COMMON
    if reading != "alike":
        auto = _AUTO_ORDER_READ["exports" if elsewhere else reading]
    if scripted:
        auto = _AUTO_ORDER_SCRIPTED[::-1] if elsewhere else _AUTO_ORDER_SCRIPTED
    if relocatable:
        auto = _AUTO_ORDER_RELOCATABLE
    choosing = elsewhere and name_or_path == "auto"
    for name in auto if name_or_path == "auto" else _LINKER_FILES:
        if name_or_path in ("auto", name):
            for file in _LINKER_FILES[name]:
                path = _which(file, environ)
                if path and not (choosing and not _links_for(name, path, machine, environ)):
                    return Linker(os.path.abspath(path), name)
    if name_or_path == "auto":
        return None
    path = None if name_or_path in _LINKER_FILES else _which(name_or_path, environ)
    if not path:
        raise LinkError(f"linker not found: {name_or_path}")
    return Linker(os.path.abspath(path), _linker_name(path, environ))


def link_image(
    job: LinkJob, environ: Mapping[str, str], *, linked: Callable[[str], None] | None = None
) -> LinkResult:
    """Link the job's image and put it into place (see output.py), with the mode that the linker gave it.

    `linked` is shown where the image is before it is moved: later another link may have replaced it.

    Raises LinkError with the linker's message, each undefined symbol once. Two links to the same output
    may run at the same time: the later one wins whole.
    """
    output = os.path.abspath(job.output)
    if os.path.isdir(output):
        raise LinkError(f"cannot write {job.output}: it is a directory")
    with _folder_for(output) as folder:
        archive = os.path.join(folder, "ours")
        image = os.path.join(folder, "image", os.path.basename(output))
        os.mkdir(os.path.dirname(image))
        command = _command(job, _items(job, archive), image, folder)
        depfile = os.path.join(folder, "reads.d")
        asked = ("-Xlinker", f"--dependency-file={depfile}") if job.driver.family != "zig" else ()
        # The C locale, so that messages can be read; TMPDIR, so that a killed driver leaves nothing behind.
        environ = {**environ, "LC_ALL": "C", "TMPDIR": folder}
        status, text = _run((*command, *asked), environ, f" to link {job.output}")
        if status != 0 and "--dependency-file" in text:  # older than binutils 2.35, lld 11, mold 1.1
            status, text = _run(command, environ)
        if status != 0 and "File size limit exceeded" in text:  # what drivers say of a linker that was killed
            raise LinkError(f"cannot write {job.output}: it is larger than files may be (ulimit -f)")
        if status != 0 and (why := _FULL.search(text)):  # lld says it as a fault of its own, mold as a guess
            said = "the linker had no room; is the disk full?" if why[0] in _GUESSED else why[0]
            raise LinkError(f"cannot write {job.output}: {said}")
        if status != 0 or not os.path.exists(image):
            lines = condense(_without_folder(text, archive), archive) or [
                f"{command[0]} ended with status {status} and no message"
            ]
            raise LinkError(*lines)
        reads = _read_depfile(depfile, folder)
        if linked:
            linked(image)
        replaced = move(image, output)
        return LinkResult(command, warnings(_without_folder(text, archive), archive), reads, replaced)


def _read_depfile(path: str, folder: str) -> tuple[str, ...] | None:
    """The files that a linker's depfile names, those in our folder left out; None if there are none.

    Behind the rule for the image each file has a rule of its own, in which GNU ld, gold and mold escape
    nothing and lld what make wants escaped.
    """
    try:
        with open(path, "rb") as file:
            lines = os.fsdecode(file.read()).replace("\\\n", " ").split("\n")[1:]
    except OSError:
        return None
    names = [line[:-1] for line in lines if line.endswith(":")]
    found = [name if os.path.exists(name) else _unescaped(name) for name in names]
    return tuple(dict.fromkeys(name for name in found if not name.startswith(folder + "/"))) or None


def _unescaped(name: str) -> str:
    return re.sub(r"\\([ #\\])|\$(\$)", r"\1\2", name)


def _without_folder(text: str, archive: str) -> str:
    """What a linker said of loose objects, each by its name alone."""
    return re.sub(re.escape(archive) + r"\.\d+\.d/\d+/", "", text)


def _unpack(archive: str, folder: str) -> str:
    """Writes an archive's members into the folder. Returns a response file that names them in order."""
    listed = os.path.join(folder, "list")
    os.mkdir(folder)
    with open(archive, "rb") as file:
        members = read_archive(file.read())
    with open(listed, "w", encoding="utf-8", errors="surrogateescape") as names:
        for number, (name, content) in enumerate(members):
            path = os.path.join(folder, str(number), os.path.basename(name)[-200:])
            os.mkdir(os.path.dirname(path))
            with open(path, "wb") as file:
                file.write(content)
            escaped = re.sub(r'(["\\])', r"\\\1", path)
            names.write(f'"{escaped}"\n')
    return listed


def _items(job: LinkJob, archive: str) -> list[str]:
    """The job's items as words; its archives become files of which `archive` begins the name."""
    # Elsewhere the plain form, which every linker has. `--no-whole-archive` would end what the user began.
    stateful = any("whole-archive" in word for word in job.words)
    before, after = ("--push-state,", "--pop-state") if stateful else ("", "--no-whole-archive")
    items: list[str] = []
    lazy = False
    for n, item in enumerate(job.items):
        if isinstance(item, str):
            items.append(item)
            lazy = "--start-lib" in item or (lazy and "--end-lib" not in item)
            continue
        if lazy:
            raise LinkError("sources between --start-lib and --end-lib: put them before it")
        name = f"{archive}.{n}.a"
        if isinstance(item.archive, bytes):
            with open(name, "wb") as file:
                file.write(item.archive)
        else:
            os.symlink(os.path.abspath(item.archive), name)
        if job.loose:
            items.append("@" + _unpack(name, f"{archive}.{n}.d"))
            continue
        items += [f"-Wl,{before}--whole-archive", name, f"-Wl,{after}"]
    return items


def _command(job: LinkJob, items: list[str], image: str, folder: str) -> tuple[str, ...]:
    kinds = {"exe": (), "shared": ("-shared",), "object": ("-r", "-nostdlib")}
    pies = {None: (), True: ("-pie",), False: ("-no-pie",)}
    # Some gcc leave out libraries that nothing uses, though they were asked for; constructors need no users.
    named = job.driver.family == "gcc" and any(map(_LIBRARY.search, job.words))
    needed = ("-Wl,--no-as-needed",) if named else ()
    garbage = ("-Wl,--gc-sections",) if job.gc_sections and job.kind != "object" else ()
    return (
        *job.driver.command,
        *_target_flags(job),
        *kinds[job.kind],
        *pies[job.pie],
        *_linker_flags(job, folder),
        *_soname_flags(job),
        *garbage,
        "-o",
        image,
        *needed,
        *items,
    )


def _target_flags(job: LinkJob) -> tuple[str, ...]:
    if job.driver.family == "zig":
        return ("-target", job.target or _ZIG_TARGET, *_ZIG_FLAGS)
    return (f"--target={job.target}",) if job.target and job.driver.family == "clang" else ()


def _soname_flags(job: LinkJob) -> tuple[str, ...]:
    """With a version script but no soname, gold, lld and mold record the whole path they write to.

    GNU ld records the file's name alone; there an image has no soname, as a compiler's own has none.
    """
    versioned = any("version-script" in option for option in job.words)
    named = any("-soname" in option or option.startswith("-Wl,-h") for option in job.words)
    plain = job.linker is not None and job.linker.name == "bfd" and job.driver.family != "zig"
    if job.kind != "shared" or not versioned or named or plain:
        return ()
    return (f"-Wl,-soname,{os.path.basename(job.output)}",)


def _linker_flags(job: LinkJob, folder: str) -> tuple[str, ...]:
    """Flags that make the driver run the job's linker; gcc takes no path, only a folder to search."""
    if job.linker is None or job.driver.family == "zig":
        return ()
    all_errors = ("-Wl,--error-limit=0",) if job.linker.name == "lld" else ()
    if job.driver.family == "clang":
        return (f"--ld-path={job.linker.path}", *all_errors)
    # Before 12.1 gcc knows no -fuse-ld=mold, but any gcc runs the `ld` in a -B folder.
    mold = job.linker.name == "mold"
    search = os.path.join(folder, "ld")
    os.mkdir(search)
    os.symlink(job.linker.path, os.path.join(search, "ld" if mold else "ld." + job.linker.name))
    return ("-B", search + "/", *(() if mold else (f"-fuse-ld={job.linker.name}",)), *all_errors)


@contextmanager
def _folder_for(output: str) -> Iterator[str]:
    """A temporary folder, beside the output where a file can be moved there, removed whatever happens."""
    import shutil

    folder = temporary_name(output)
    try:
        if is_special(output) or (os.path.isfile(output) and not os.access(os.path.dirname(output), os.W_OK)):
            with temporary_folder() as elsewhere:
                yield os.fspath(elsewhere)
            return
        os.mkdir(folder, 0o700)  # here, for a signal may raise as soon as it is made
        yield folder
    except OSError as error:
        raise LinkError(f"cannot write {output}: {error.strerror or error}") from error
    finally:
        with hold_signals():
            shutil.rmtree(folder, ignore_errors=True)


def _run(command: tuple[str, ...], environ: Mapping[str, str], to: str = "") -> tuple[int, str]:
    """Exit status and output of a command; an exception, Ctrl-C too, kills it with all its children.

    `to` says what it is to do.
    """
    import signal
    import subprocess

    child: subprocess.Popen[bytes] | None = None
    try:
        with hold_signals():
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environ,
                process_group=0,
            )
        with Waiting(shown(f"{os.path.basename(command[0])}{to}")):
            text = child.communicate()[0]
    except BaseException as error:
        if child:
            with suppress(ProcessLookupError):  # it has just ended
                os.killpg(child.pid, signal.SIGKILL)
            child.communicate()  # the last of them has closed its output
        elif isinstance(error, OSError):
            raise LinkError(f"cannot run {command[0]}: {error.strerror}") from error
        raise
    return child.returncode, text.decode("utf-8", "surrogateescape")


def ask(command: tuple[str, ...], environ: Mapping[str, str]) -> str:
    """What a tool says when it is asked something. Raises LinkError where it cannot be run.

    One that is killed is asked once more: what it would have said decides what is linked, and how.
    """
    for _ in range(2):
        status, text = _run(command, environ)
        if status >= 0:
            return text
    raise Killed(f"{' '.join(command)}: killed by signal {-status}; is memory short?")


def _which(name: str, environ: Mapping[str, str]) -> str | None:
    import shutil

    return shutil.which(name, path=environ.get("PATH", os.defpath))


def _split(explicit: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    import shlex

    first, *rest = [explicit] if _which(explicit, environ) else shlex.split(explicit) or [explicit]
    path = _which(first, environ)
    if not path:
        raise LinkError(f"compiler driver not found: {explicit}")
    return (path, *rest)


def _cplusplus_sibling(command: str) -> str:
    folder, name = os.path.split(command)
    for pattern, sibling in ((r"clang(?!\+)", "clang++"), (r"gcc", "g++"), (r"^cc$", "c++")):
        if re.search(pattern, name):
            return os.path.join(folder, re.sub(pattern, sibling, name, count=1))
    return command


def _family(command: tuple[str, ...], environ: Mapping[str, str]) -> Family:
    """By name, with symbolic links followed (`cc` → `gcc-12`); a name that says nothing is asked."""
    names = {os.path.basename(name) for word in command for name in (word, os.path.realpath(word))}
    if names & {"zig", "ziglang"}:
        return "zig"
    if any("clang" in name for name in names):
        return "clang"
    if any(re.search(r"gcc|g\+\+", name) for name in names):
        return "gcc"
    return "clang" if "clang" in ask((*command, "--version"), environ) else "gcc"


def _linker_name(path: str, environ: Mapping[str, str]) -> LinkerName:
    names = os.path.basename(path) + " " + os.path.basename(os.path.realpath(path))
    said = names if re.search("mold|lld|gold|bfd", names) else ask((path, "--version"), environ).lower()
    found = re.search("mold|lld|gold", said)
    return found[0] if found else "bfd"  # type: ignore[return-value]


def _links_for(name: LinkerName, path: str, machine: str, environ: Mapping[str, str]) -> bool:
    """Whether a linker knows a machine, and the relocations that LLVM writes for it."""
    if name == "mold":
        since = _MOLD_SINCE.get(machine)
        return machine in _MOLD_MACHINES and (since is None or _version(path, environ) >= since)
    if name == "lld":  # LoongArch and RISC-V's ULEB128 came with 17 and 18
        return machine not in _MOLD_SINCE or _version(path, environ) >= (18,)
    return _EMULATIONS.get(machine, machine) in ask((path, "-V"), environ).split()


def _version(path: str, environ: Mapping[str, str]) -> tuple[int, ...]:
    """The version that a linker says it has; empty if it says none."""
    found = re.search(r"(?:mold|LLD) (\d+(?:\.\d+)*)", ask((path, "--version"), environ))
    return tuple(map(int, found[1].split("."))) if found else ()


def find_zig() -> str | None:
    """The program in the `ziglang` package, if that is installed.

    Not `python -m ziglang`, which runs whatever is called so, or like a module that it imports, in the folder
    that the build is in. For the same reason a mere folder of that name is none.
    """
    from importlib.util import find_spec

    spec = find_spec("ziglang")
    if spec is None or not spec.origin:
        return None
    path = os.path.join(os.path.dirname(os.path.abspath(spec.origin)), "zig")
    return path if os.access(path, os.X_OK) else None
