"""Links one image with a compiler driver and a linker.

The image depends on the job and on nothing else: the linker writes into a temporary folder beside the output,
under the output's own file name (GNU ld records it where there is a version script), and the result is moved
into place. A failed or interrupted link leaves an older output untouched.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from nativecache.linker import lazy_re as re
from nativecache.linker.archive import read_archive
from nativecache.linker.choice import LINKER_FILES, Linker
from nativecache.linker.diagnostics import condense, warnings
from nativecache.linker.driver import C_DRIVERS, CPLUSPLUS_DRIVERS, Driver
from nativecache.linker.errors import LinkError
from nativecache.linker.output import is_special, move, temporary_name
from nativecache.linker.signals import hold_signals, temporary_folder
from nativecache.linker.symbol_lists import Renamed, translate_lists
from nativecache.linker.temporary import remove_folder
from nativecache.linker.tools import run
from nativecache.linker.values import dataclass, field

if TYPE_CHECKING:
    from pathlib import Path

# zig's defaults bake in debug information, checks for undefined behaviour and the host's kernel and CPU.
_ZIG_FLAGS = ("-g0", "-fno-sanitize=undefined")
_ZIG_TARGET = "x86_64-linux-gnu"
#: What linkers say of a disk on which the image has no room.
_FULL = re.compile(r"No space left on device|Disk quota exceeded|Disk full\?|Bus error")
#: The latter is what writing to a mapped file ends with.
_GUESSED = ("Disk full?", "Bus error")

#: All names of drivers and linkers that are looked for on PATH.
SEARCHED = tuple(
    dict.fromkeys((*C_DRIVERS, *CPLUSPLUS_DRIVERS, *(n for names in LINKER_FILES.values() for n in names)))
)


@dataclass(frozen=True)
class Whole:
    """An archive, in memory or in a file, or several files: every member is linked where it stands."""

    archive: bytes | Path | tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class LinkJob:
    """What to link: `items` in order, of which words are files and options, taken verbatim.

    `linker` None leaves the choice to the driver, and zig always uses its own. `target` is passed to clang
    and zig; a gcc has one target only. `gc_sections` does not apply to kind 'object', which keeps everything.
    `renamed`: of symbols that lists on the line may name, the names that the linker knows them by.
    With `loose` the members of archives are given to the linker as files of their names, for options and
    scripts that treat archives unlike objects.
    """

    output: Path
    kind: Literal["exe", "shared", "object"]
    items: tuple[str | Whole, ...]
    driver: Driver
    linker: Linker | None = None
    gc_sections: bool = False
    target: str | None = None
    loose: bool = False
    renamed: Renamed = field(default_factory=dict)

    @property
    def words(self) -> tuple[str, ...]:
        """The job's items that are words: files and options."""
        return tuple(item for item in self.items if isinstance(item, str))


@dataclass(frozen=True)
class LinkResult:
    """The command that linked an image (its temporary folder is gone by now) and the linker's warnings.

    `reads` are the files that the linker read, without the job's own archives; None where it cannot tell.
    `replaced` says whether the image is a new file, not the content of what was there.
    """

    command: tuple[str, ...]
    warnings: tuple[str, ...]
    reads: tuple[str, ...] | None = None
    replaced: bool = True


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
        locals_too = job.linker is None or job.linker.name in ("bfd", "gold")
        items = translate_lists(_items(job, archive), job.renamed, folder, locals_too=locals_too)
        command = _command(job, items, image, folder)
        depfile = os.path.join(folder, "reads.d")
        asked = ("-Xlinker", f"--dependency-file={depfile}") if job.driver.family != "zig" else ()
        # The C locale, so that messages can be read; TMPDIR, so that a killed driver leaves nothing behind.
        environ = {**environ, "LC_ALL": "C", "TMPDIR": folder}
        status, text = run((*command, *asked), environ, f" to link {job.output}")
        if status != 0 and "--dependency-file" in text:  # older than binutils 2.35, lld 11, mold 1.1
            status, text = run(command, environ)
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
        names = list(_archive_files(item, f"{archive}.{n}"))
        if job.loose:
            items += ["@" + _unpack(name, f"{name.removesuffix('.a')}.d") for name in names]
            continue
        items += [f"-Wl,{before}--whole-archive", *names, f"-Wl,{after}"]
    return items


def _archive_files(item: Whole, name: str) -> Iterator[str]:
    """The files of an item, under names that begin with `name`."""
    if isinstance(item.archive, bytes):
        with open(f"{name}.a", "wb") as file:
            file.write(item.archive)
        yield f"{name}.a"
        return
    several = isinstance(item.archive, tuple)
    for n, path in enumerate(item.archive if isinstance(item.archive, tuple) else (item.archive,)):
        link = f"{name}{n:06}.a" if several else f"{name}.a"
        os.symlink(os.path.abspath(path), link)
        yield link


def _command(job: LinkJob, items: list[str], image: str, folder: str) -> tuple[str, ...]:
    kinds = {"exe": (), "shared": ("-shared",), "object": ("-r", "-nostdlib")}
    # Some gcc leave out libraries that nothing uses, their own and those that were asked for; constructors
    # need no users, nor does who looks a symbol up in an image and all that it needs (dlsym).
    plain = job.driver.family == "gcc" and job.kind != "object"
    needed = ("-Wl,--no-as-needed",) if plain else ()
    garbage = ("-Wl,--gc-sections",) if job.gc_sections and job.kind != "object" else ()
    return (
        *job.driver.command,
        *_target_flags(job),
        *kinds[job.kind],
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
    """The options for a soname that is the file's name, where a linker would record the path.

    With a version script but no soname, gold, lld and mold record the whole path they write to.
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
            remove_folder(folder)
