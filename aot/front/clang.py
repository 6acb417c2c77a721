"""Runs clang as a front end (C and C++ to LLVM IR, its passes off) or, where that cannot be split, whole."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

from nativecache.aot.codegen.flags import beside, beyond_ir, noting
from nativecache.aot.errors import BuildError, Configured, Said, UsageError
from nativecache.aot.request import Input, folder_of, told_of
from nativecache.linker import lazy_re as re
from nativecache.linker.shown import shown
from nativecache.linker.tools import find_program
from nativecache.linker.values import dataclass
from nativecache.linker.waiting import Waiting

#: The LLVM that llvmlite 0.50 is built on: it reads what this and earlier clangs write.
NEWEST: Final = 22
OLDEST: Final = 14

CPLUSPLUS: Final = frozenset((".cc", ".cpp", ".cxx", ".c++", ".C"))
#: The languages of C++20 modules' interfaces, as sources and compiled (clang/include/clang/Driver/Types.def).
MODULES: Final = frozenset(("c++-module", "pcm"))

#: What clang calls the language of a file by its suffix, of those that it is given here.
_LANGUAGES: Final = {
    ".c": "c",
    ".i": "cpp-output",
    ".ii": "c++-cpp-output",
    ".s": "assembler",
    ".S": "assembler-with-cpp",
    **dict.fromkeys(CPLUSPLUS, "c++"),
    **dict.fromkeys((".cppm", ".ccm", ".cxxm", ".c++m"), "c++-module"),
    ".pcm": "pcm",
}
ASSEMBLY: Final = frozenset(("assembler", "assembler-with-cpp"))
#: Languages whose sources are preprocessed.
_PREPROCESSED: Final = frozenset(("c", "c++", "c++-module", "assembler-with-cpp"))

#: All names that are looked for on PATH, first to last.
SEARCHED: Final = (*(f"clang-{version}" for version in range(NEWEST, OLDEST - 1, -1)), "clang")

#: Flags whose work is done by passes that only clang's own pipeline runs. What they put in needs libraries
#: that clang as a link driver names.
_INSTRUMENTS: Final = re.compile(
    r"-fsanitize(?!-(?:recover|trap|ignorelist|undefined-ignore))|-fprofile-|-fcs-profile|-fcoverage|--coverage"
    r"|-ftest-coverage|-fauto-profile|-fxray|-pg\b|-finstrument|-fmemory-profile|-mllvm|-Xclang|-fplugin|-fpass-plugin"
)


class Running:
    """Compilers at work for several threads, so that another one can end them all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._children: set[subprocess.Popen[bytes]] = set()
        self._ended = False

    def run(self, command: list[str], *, listens: bool = False, folder: str = "") -> tuple[int, bytes]:
        """The exit status of a command, and what it said. Raises OSError where it cannot be run.

        `listens`: it reads what we are given. `folder`: where it is run, if not in the current folder.
        """
        with self._lock:
            if self._ended:
                return -signal.SIGKILL, b""
            child = subprocess.Popen(
                command,
                cwd=folder or None,
                stdin=None if listens else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            self._children.add(child)
        what = shown(f"{os.path.basename(command[0])} on {command[-1]}")
        with child, Waiting(what):
            said = b"".join(child.communicate())
        with self._lock:
            self._children.remove(child)
        return child.returncode, said

    @property
    def ended(self) -> bool:
        """Whether no compiler is to be at work any more."""
        return self._ended

    def end(self) -> None:
        """Kills the compilers at work, and lets none begin any more."""
        with self._lock:
            self._ended = True
            for child in self._children:
                child.kill()


@dataclass(frozen=True, slots=True)
class Clang:
    """A clang command and its major version."""

    command: tuple[str, ...]
    version: int

    @property
    def is_zig(self) -> bool:
        """Whether the command is the clang in zig, whose driver differs."""
        return os.path.basename(self.command[0]) == "zig"


def is_printed(clang: Clang) -> bool:
    """Whether clang prints what llvmlite would print, being of one version; else LLVM reads it first."""
    return clang.version == NEWEST and not clang.is_zig


def find_clang(explicit: str | None, environ: Mapping[str, str]) -> Clang:
    """The clang asked for, else the newest on PATH that llvmlite can read, else the `ziglang` package's.

    Raises BuildError where there is none.
    """
    if explicit:
        if not find_program(explicit, environ):
            raise UsageError(f"clang not found: {explicit}")
        return Clang((explicit,), _version((explicit,)))
    for version in range(NEWEST, OLDEST - 1, -1):
        if found := find_program(f"clang-{version}", environ):
            return Clang((found,), version)
    if found := find_program("clang", environ):
        version = _version((found,))
        if version <= NEWEST:
            return Clang((found,), version)
    from nativecache.linker.driver import find_zig

    if zig := find_zig():
        return Clang((zig, "cc"), _version((zig, "cc")))
    raise BuildError(
        f"C and C++ inputs need a clang between {OLDEST} and {NEWEST}, and there is none: install "
        f"clang-{NEWEST}, name one with --clang, or `pip install nativecache[zig]`"
    )


@cache
def _version(command: tuple[str, ...]) -> int:
    try:
        done = subprocess.run([*command, "--version"], capture_output=True, check=False)
        if done.returncode < 0:
            problem = f"killed by signal {-done.returncode}; is memory short?"
            raise BuildError(f"{' '.join(command)} --version: {problem}")
    except OSError as error:
        raise UsageError(f"cannot run {command[0]}: {error.strerror}") from None
    text = os.fsdecode(done.stdout)
    match = re.search(r"clang version (\d+)", text)
    if not match:
        raise UsageError(f"{' '.join(command)} is not clang")
    return int(match[1])


_QUIET: Final = frozenset(("-w", "--no-warnings"))
#: Those, and flags that say nothing beside them.
_UNHEARD: Final = re.compile(r"-w$|--no-warnings$|-Werror(?:=|$)")


def asking_for_time(flags: Sequence[str]) -> tuple[list[str], bool]:
    """Flags with which clang ends with an error where it meets the time of day; whether it is to be quiet.

    With -w it would say nothing of it; without, its other warnings are nobody's business. As with -w, none of
    them becomes an error, and what is one by default stays one.
    """
    quiet = not _QUIET.isdisjoint(flags)
    return [*(flag for flag in flags if not (quiet and _UNHEARD.match(flag))), "-Werror=date-time"], quiet


def met_time_of_day(words: str) -> bool:
    """Whether clang's words hold its complaint about a macro for the time of day, in whatever form."""
    return "reproducible" in words


def compiles_whole(flags: Sequence[str], level: int = 2) -> bool:
    """Whether these flags ask, at -O`level`, for what cannot be done with split functions."""
    return bool(beyond_ir(flags, level))


def instruments(flags: Sequence[str]) -> bool:
    """Whether these flags ask for passes of clang's own."""
    return any(_INSTRUMENTS.match(flag) for flag in flags)


#: Flags about how LLVM's own link-time optimisation would go on; here every module takes part in it.
_LTO: Final = re.compile(
    r"-f(?:no-)?(?:lto(?:[=-].*)?|fat-lto-objects|split-lto-unit|unified-lto|whole-program-vtables"
    r"|virtual-function-elimination)"
)


def without_lto(flags: Sequence[str]) -> tuple[str, ...]:
    """The flags but for those that ask for link-time optimisation: with them clang's objects are bitcode.

    Raises BuildError where a sanitizer cannot do without.
    """
    rest = tuple(flag for flag in flags if not _LTO.fullmatch(flag))
    cfi = next((flag for flag in rest if re.match(r"-fsanitize=(?:.*,)?cfi", flag)), None)
    if cfi and len(rest) < len(flags):
        raise BuildError(f"{cfi}: needs LLVM's own link-time optimisation, not done here; leave it out")
    return rest


def _base(clang: Clang, source: Path) -> list[str]:
    command = list(clang.command)
    if folder_of(source) and "/" in command[0]:
        command[0] = os.path.abspath(command[0])
    if clang.is_zig:
        if is_cplusplus(source):
            command[-1] = "c++"
        # Its defaults bake in UBSan, debug information, the host's CPU and kernel version.
        command += ["-target", "x86_64-linux-gnu", "-g0", "-fno-sanitize=undefined", "-mcpu=x86_64"]
        command += ["-Wno-unused-command-line-argument"]
    return command


def _compile(clang: Clang, source: Path, level: int, flags: Sequence[str]) -> list[str]:
    command = [*_base(clang, source), f"-O{level}"]
    command += noting(flags, [*command, *flags, "-c", *_named(source)])
    if any(flag.startswith("-gsplit-dwarf") for flag in flags):
        command.append("-gno-split-dwarf")  # there is no place for a file per unit, or beside what is linked
    return command


def emit_ir(
    clang: Clang,
    source: Path,
    level: int,
    flags: Sequence[str],
    scratch: Path,
    depfile: Path | None = None,
    running: Running | None = None,
    besides: Sequence[str] = (),
) -> tuple[bytes, str]:
    """The IR of a source file as the front end makes it for -O`level`, and clang's warnings.

    It is printed, or bitcode where clang is older than our LLVM, which upgrades bitcode of any age but does
    not read all old text.

    `depfile` is to name the files that were read, `running` may end clang; `besides` are flags that have it
    make the same in another way. Raises BuildError with clang's own messages.
    """
    command = [*_compile(clang, source, level, flags), *depfile_flags(depfile), *besides]
    command += ["-Xclang", "-disable-llvm-passes"]
    kind = "-c" if clang.version < NEWEST else "-S"
    return _make([*command, kind, "-emit-llvm"], source, scratch, running)


def run_on_header(
    clang: Clang,
    source: Path,
    level: int,
    flags: Sequence[str],
    besides: Sequence[str],
    output: Path,
    running: Running,
) -> str:
    """Has clang make what `besides` asks for of a source as of a header: what it says. Raises BuildError."""
    command = [*_compile(clang, source, level, flags), *besides, "-o", os.fspath(output)]
    return _run([*command, "-x", f"{language(source)}-header", os.fspath(source)], source, running)


def compile_whole(
    clang: Clang,
    source: Path,
    level: int,
    flags: Sequence[str],
    scratch: Path,
    depfile: Path | None = None,
    running: Running | None = None,
    places: Sequence[str] = (),
) -> tuple[bytes, str]:
    """A native object of a source file as clang alone makes it, and clang's warnings; else as `emit_ir`.

    `places`: flags that say where clang writes what it writes besides, as `places_beside` gives them. Stack
    usage it writes beside `scratch`.
    """
    command = [*_compile(clang, source, level, flags), *depfile_flags(depfile), *places]
    return _make([*command, "-c"], source, scratch, running)


def places_beside(flags: Sequence[str], source: Path, image: Path | None, alone: Path | None) -> list[str]:
    """Flags that have clang write coverage notes, traces and records where it would without us.

    That is beside the `image` that an object is for, or beside the object if that is the output (`alone`).
    """
    found: list[str] = []
    if image and beside(flags):
        found += ["-dumpdir", f"{image}-", *_remarks_flags(flags, source.stem)]
    if alone and "-dumpdir" not in flags:
        found += _beside_object(flags, alone)
    return found


def compile_bitcode(
    command: Sequence[str], bitcode: Path, label: Path, scratch: Path, running: Running
) -> tuple[bytes, str]:
    """A native object of bitcode, which messages call `label`, and clang's warnings. Raises BuildError."""
    # Another vendor or version in the triple than clang would write is no matter.
    quiet = ("-Wno-override-module", "-Wno-unused-command-line-argument")
    messages = _run([*command, *quiet, "-c", "-o", str(scratch), "-x", "ir", str(bitcode)], label, running)
    data = scratch.read_bytes()
    scratch.unlink()
    return data, messages


def _make(command: list[str], source: Path, scratch: Path, running: Running | None) -> tuple[bytes, str]:
    """What a command makes of a source file, and what it says of it."""
    # Through a file: zig's clang takes `-o -` for a file's name.
    messages = _run([*command, "-o", os.fspath(scratch), *_named(source)], source, running)
    data = scratch.read_bytes()
    scratch.unlink()
    return data, messages


def preprocess_for_rule(
    clang: Clang, source: Path, flags: Sequence[str], scratch: Path, running: Running | None = None
) -> str:
    """The rule with a source's dependencies that `flags` ask for. Raises BuildError."""
    command = [*_base(clang, source), *flags, "-w", "-MF", os.fspath(scratch)]
    _run([*command, "-o", os.devnull, *_named(source)], source, running)
    return os.fsdecode(scratch.read_bytes())


def _beside_object(flags: Sequence[str], output: Path) -> list[str]:
    """Has clang write what flags have it write besides where it would for an object of that name.

    Source: addPGOAndCoverageFlags in clang/lib/Driver/ToolChains/Clang.cpp.
    """
    stem = os.path.splitext(os.fspath(output))[0]
    covered = any(flag in ("--coverage", "-coverage") for flag in flags)
    arcs = [flag for flag in flags if re.fullmatch("-f(no-)?profile-arcs", flag)][-1:]
    place = os.path.join(os.getcwd(), stem)
    words = []
    if covered or [flag for flag in flags if re.fullmatch("-f(no-)?test-coverage", flag)][-1:] == [
        "-ftest-coverage"
    ]:
        words += ["-Xclang", f"-coverage-notes-file={place}.gcno"]
    if covered or arcs == ["-fprofile-arcs"]:
        folders = [flag.partition("=")[2] for flag in flags if flag.startswith("-fprofile-dir=")]
        words += ["-Xclang", f"-coverage-data-file={''.join(folders[-1:])}{place}.gcda"]
    traces = [flag for flag in flags if re.match("-ftime-trace(=|$)", flag)]
    if traces and traces[-1][-1] in "e/":
        folder = traces[-1].partition("=")[2]
        words.append(f"-ftime-trace={folder + os.path.basename(stem) if folder else stem}.json")
    return [*words, *_remarks_flags(flags, stem)]


def _remarks_flags(flags: Sequence[str], stem: str) -> list[str]:
    """Has clang write optimisation records where it would write them for an image, or an object."""
    named = any(flag.startswith("-foptimization-record-file") for flag in flags)
    asked = [flag for flag in flags if re.match(r"-f(?:save-)?optimization-record", flag)]
    if named or not asked:
        return []
    kind = next((flag.partition("=")[2] for flag in reversed(asked) if "-record=" in flag), "yaml")
    return [f"-foptimization-record-file={stem}.opt.{kind}"]


#: The target's name in a depfile, which is of no interest.
_TARGET: Final = "it"
TARGETS: Final = (_TARGET,)


def depfile_flags(depfile: Path | None) -> list[str]:
    """Has clang name the files that it reads, for `read_depfile`."""
    return ["-MD", "-MT", _TARGET, "-MF", os.fspath(depfile)] if depfile else []


def read_depfile(path: Path, targets: Sequence[str] = TARGETS) -> list[str]:
    """The files that a depfile with these targets names, in the order they were read.

    The targets are plain words (`are_plain`), by default our own. Raises OSError, ValueError.
    """
    text = os.fsdecode(path.read_bytes()).replace("\\\n", " ")
    head, _, rest = text.partition(":")
    if head.split() != list(targets):
        raise ValueError(f"{path}: not a depfile")
    rule, _, phony = rest.partition("\n")
    words = re.findall(r"(?:[^\\\s]|\\[^\n])+", rule)
    # Each file but the source is a target of its own behind the rule, or none is.
    if phony and (phony[-1] != "\n" or not phony.count(":\n") == phony.count("\n") == len(words) - 1):
        raise ValueError(f"{path}: a name with a line's end in it")
    return [re.sub(r"\\([ #])|\$(\$)", r"\1\2", word) for word in words]


def are_plain(targets: Sequence[str]) -> bool:
    """Whether targets stand in a depfile as they are, so that it can be read."""
    return all(re.fullmatch(r"[\w./+=@%^~,-]+", target, re.ASCII) for target in targets)


@dataclass(frozen=True, slots=True)
class SearchPath:
    """Where clang looks for headers: `folders`, existing or not, some twice; `program` is what really runs.

    `toolchains` are folders whose contents decide which folders those are, as it does which of the paths
    `layouts` there are below which of the `roots`.
    """

    folders: tuple[str, ...]
    program: str
    toolchains: tuple[str, ...]
    roots: tuple[str, ...] = ()
    layouts: tuple[str, ...] = ()


def language(source: Path) -> str:
    """The language of an input as clang's `-x` calls it: as the user said, else by its suffix, or empty."""
    if isinstance(source, Input):
        return source.language or _LANGUAGES.get(source.ending, "")
    return _LANGUAGES.get(source.suffix, "")


def is_cplusplus(source: Path) -> bool:
    """Whether an input is C++."""
    return language(source) in ("c++", "c++-cpp-output", *MODULES)


def is_preprocessed(source: Path) -> bool:
    """Whether clang runs its preprocessor on an input."""
    return language(source) in _PREPROCESSED


def is_standard_input(path: Path) -> bool:
    """Whether an input is what the command is given, rather than a file."""
    return os.fspath(path) == "-"


def _named(source: Path) -> list[str]:
    """A source file as clang is told of it."""
    said = source.language if isinstance(source, Input) else ""
    return ["-x", said, told_of(source)] if said else [told_of(source)]


def check_configuration(clang: Clang, flags: Sequence[str]) -> None:
    """Raises Configured if clang would read configuration files of its own; asks it."""
    if clang.is_zig or _NO_CONFIGURATION in flags:
        return
    with suppress(OSError):
        done = subprocess.run(
            [*clang.command, *flags, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        _refuse_configured(os.fsdecode(done.stdout), flags)


def _refuse_configured(said: str, flags: Sequence[str]) -> None:
    found = re.findall(r"^Configuration file: (.*)$", said, re.MULTILINE)
    if found and _NO_CONFIGURATION not in flags:
        raise Configured(tuple(found))


def search_path(clang: Clang, source: Path, flags: Sequence[str]) -> SearchPath | None:
    """Asks clang where it would look for this source's headers. None where it says nothing intelligible.

    Names are those by which we find the folders, wherever clang is run. Raises Configured where it says that
    it reads configuration files.
    """
    folder = folder_of(source)
    asked = language(source) if is_preprocessed(source) else "c"
    command = [*_base(clang, source), *flags, "-E", "-v", "-x", asked, os.devnull]
    command += ["-o", os.devnull]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, cwd=folder or None
        )
    except OSError:
        return None
    text = os.fsdecode(done.stderr)
    _refuse_configured(text, flags)
    program = re.search(r'^ "?(.+?)"? -cc1 ', text, re.MULTILINE)
    start = text.find('\n#include "..." search starts here:\n')
    end = text.find("\nEnd of search list.")
    unclear = re.search(r"^(?:Configuration file|User configuration file directory): ", text, re.MULTILINE)
    if done.returncode or not program or start < 0 or end < 0 or unclear:
        return None
    missing = re.findall(r'^ignoring (?:nonexistent|duplicate) directory "(.*)"$', text, re.MULTILINE)
    listed = [line[1:] for line in text[start:end].splitlines() if line[:1] == " "]
    if any(line.endswith((" (framework directory)", " (headermap)")) for line in listed):
        return None  # where other names are looked for than are asked for
    listed = [os.path.join(folder, path) for path in listed]
    missing = [os.path.join(folder, path) for path in missing]
    configured = re.findall(r"^System configuration file directory: (.*)$", text, re.MULTILINE)
    selected = re.search(r"^Selected GCC installation: (.*)$", text, re.MULTILINE)
    gcc = [os.path.dirname(selected[1]), os.path.dirname(os.path.dirname(selected[1]))] if selected else []
    triple = re.search(r'"?-triple"? "?([^" ]+)', text)
    resources = re.search(r'"?-resource-dir"? (?:"(.+?)"|(\S+))', text)
    beside = os.path.dirname(program[1])
    roots = dict.fromkeys(
        ("", os.path.dirname(beside), *(os.path.join(folder, root) for root in _roots(flags)))
    )
    places = [root + place for root in roots for place in _TOOLCHAINS]
    places += [os.path.join(place, name) for place in places for name in _folders_in(place)]
    # A configuration file may come to lie beside clang.
    toolchains = dict.fromkeys((beside, *configured, *gcc, *places))
    targets = _multiarch(triple[1]) if triple else []
    layouts = [f"{folder}/{target}" for folder in ("include", "usr/include") for target in targets]
    return SearchPath(
        (*listed, *missing),
        program[1],
        tuple(toolchains),
        (*(root or "/" for root in roots), *([resources[1] or resources[2]] if resources else [])),
        ("include", *layouts),
    )


#: With it clang reads no configuration file but those that are named.
_NO_CONFIGURATION: Final = "--no-default-config"

#: Below a root, where clang looks for the GCC whose headers it takes, and for those of C++
#: (clang/lib/Driver/ToolChains/Gnu.cpp).
_TOOLCHAINS: Final = (
    *("/usr/lib/gcc", "/usr/lib/gcc-cross", "/usr/lib64/gcc", "/lib/gcc", "/lib/gcc-cross", "/lib64/gcc"),
    *("/opt/rh", "/include/c++", "/usr/include/c++", "/usr/local/include/c++"),
)
_ROOTS: Final = re.compile(r"--sysroot=|-isysroot=?|--gcc-toolchain=|--gcc-install-dir=")


def _roots(flags: Sequence[str]) -> list[str]:
    """Folders that flags name in place of the machine's own root, or beside it."""
    joined = [flag[match.end() :] for flag in flags if (match := _ROOTS.match(flag))]
    apart = [value for flag, value in pairwise(flags) if flag in ("--sysroot", "-isysroot")]
    return [root.rstrip("/") for root in (*joined, *apart) if root]


def _folders_in(place: str) -> list[str]:
    try:
        with os.scandir(place) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
    except OSError:
        return []


def _multiarch(triple: str) -> list[str]:
    """What Debian calls the folder of a target's headers, and clang."""
    parts = triple.split("-")
    machine = "i386" if re.fullmatch("i[3-6]86", parts[0]) else parts[0]
    return [triple, *([f"{machine}-{parts[-2]}-{parts[-1]}"] if len(parts) > 3 else [])]


def _run(command: list[str], source: Path, running: Running | None) -> str:
    try:
        status, said = (running or Running()).run(
            command, listens=is_standard_input(source), folder=folder_of(source)
        )
    except OSError as error:
        raise BuildError(f"{source}: cannot run {command[0]}: {error.strerror}") from None
    messages = said.decode("utf-8", "surrogateescape")
    if status == -signal.SIGXFSZ:  # it says forty lines about it, and nowhere why
        raise BuildError(f"{source}: what clang makes of it is larger than files may be (ulimit -f)")
    if status:
        raise BuildError(Said(messages, f"{source}: clang ended with status {status}"))
    return messages
