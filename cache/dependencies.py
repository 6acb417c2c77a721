"""What a result was made from, observed so that it can be told whether it is still valid.

A dependency is a kind, a value and the subjects it is about. Whoever keeps a result keeps what it depends on;
as long as all of that is still valid, making the result again would give the same.

    file      PATH                  the SHA-256 of the content: touching the file changes nothing
    image     PATH                  content and mode of a file that was written
    stat      PATH                  size, times and inode: for what is big and seldom changes. Sound, since
                                    no program can set the change time back, but a copy is another file
    program   PATH                  where the symbolic links end, size and modification time
    names     FOLDER                which names are in the folder
    same      PATH...               which of the paths lead to the same file or folder: links of one another
                                    may be read once where copies are read twice
    said      WORD...               what a command says, and how it ends
    found     FOLDER... "" NAME...  which of the names are in which folder, and which absolute ones are there
                                    at all, as folder or file: a file that appears where it would be found
                                    first makes a difference
    programs  FOLDER... "" NAME...  likewise, and which of them may be run

What is missing or closed has the value "", and so has the content of what is no plain file: a FIFO is not
waited for, nor a device read without end. Nothing here raises OSError.

This module is loaded before anything else, to answer in no time when nothing has changed: it imports only
what every Python process has loaded, and nativecache's own that import as little.
"""

import os
import stat

from nativecache.cache.files import open_descriptor
from nativecache.cache.sha256 import sha256

TYPE_CHECKING = False  # typing's, whose import would take longer than all that is done here
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NamedTuple

    class Dependency(NamedTuple):
        """What a result was made from: its kind, its value when it was observed, and what it is about."""

        kind: str
        value: str
        subjects: tuple[str, ...]

else:

    class Dependency(tuple):
        """A named tuple by hand: importing `collections` takes 1.3 ms, making one of its tuples 0.3 ms."""

        __slots__ = ()
        kind = property(lambda self: self[0])
        value = property(lambda self: self[1])
        subjects = property(lambda self: self[2])

        def __new__(cls, kind, value, subjects):
            """Fields in their order."""
            return tuple.__new__(cls, (kind, value, subjects))


#: The kinds that say where names are found.
SEARCHES = frozenset(("found", "programs"))

StatCache = dict[tuple[str, tuple[str, ...]], str]


def measure(kind: str, subjects: tuple[str, ...], memo: StatCache | None = None) -> str:
    """The value of a dependency now, or as `memo` has it. Raises ValueError for an unknown kind."""
    if memo is None:
        memo = {}
    value = memo.get((kind, subjects))
    if value is None:
        if kind in SEARCHES:
            mark = _program_mark if kind == "programs" else folder_mark
            value = digest_of_found([path + mark(path) for path in found_paths(subjects, memo)])
        elif kind == "same":
            value = _same(subjects, memo)
        elif kind == "said":
            value = sha256(say(subjects)).hexdigest()
        elif kind in _KINDS and len(subjects) == 1:
            value = _KINDS[kind](subjects[0])
        else:
            raise ValueError(f"no such dependency: {kind!r} with {len(subjects)} subjects")
        memo[kind, subjects] = value
    return value


def check_dependency(dependency: Dependency) -> None:
    """Raises ValueError for what cannot be a dependency: of no kind that can be measured, or of nothing."""
    kind, _, subjects = dependency
    if kind in SEARCHES:
        known = "" in subjects
    elif kind in ("same", "said"):
        known = len(subjects) > 0
    else:
        known = kind in _KINDS and len(subjects) == 1
    if not known or any("\0" in subject for subject in subjects):
        raise ValueError(f"no such dependency: {kind!r} with {len(subjects)} subjects")


def observe(kind: str, subjects: tuple[str, ...], memo: StatCache | None = None) -> Dependency:
    """The dependency of a kind on some subjects, with its value as things are now."""
    return Dependency(kind, measure(kind, subjects, memo), subjects)


def still_valid(
    dependencies: "list[Dependency] | tuple[Dependency, ...]", memo: StatCache | None = None
) -> bool:
    """Whether all dependencies still have their observed values; the first that has not ends the search."""
    if memo is None:
        memo = {}
    return all(measure(kind, subjects, memo) == value for kind, value, subjects in dependencies)


#: Files are read in pieces, for IR may be half of what memory holds; a larger piece is mapped and unmapped
#: for each of a thousand sources.
_PIECE = 1 << 16


def digest_file(path: str) -> str:
    """The SHA-256 of a file's content in hexadecimal, or "" where it cannot be read."""
    try:
        descriptor = open_descriptor(path)
        try:
            digest = sha256(more=os.fstat(descriptor).st_size)
            while piece := os.read(descriptor, _PIECE):
                digest.update(piece)
            return digest.hexdigest()
        finally:
            os.close(descriptor)
    except OSError:
        return ""


def _stat(path: str) -> str:
    try:
        is_now = os.stat(path)
    except OSError:
        return ""
    return f"{is_now.st_size} {is_now.st_mtime_ns} {is_now.st_ctime_ns} {is_now.st_dev} {is_now.st_ino}"


def _program(path: str) -> str:
    real = os.path.realpath(path)
    try:
        is_now = os.stat(real)
    except OSError:
        return ""
    return f"{is_now.st_size} {is_now.st_mtime_ns} {real}"


def _image(path: str) -> str:
    try:
        mode = os.lstat(path).st_mode
        if not stat.S_ISREG(os.stat(path).st_mode):
            return ""  # a pipe, which would be waited for
    except OSError:
        return ""
    return f"{mode:o} {digest_file(path)}"


def _names(folder: str) -> str:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return ""
    return _digest("\0".join(names))


def say(words: tuple[str, ...]) -> bytes:
    """What a command says on both outputs, in a line behind its exit status; b"" where it cannot be run."""
    ours, theirs = os.pipe()
    null, write = os.POSIX_SPAWN_OPEN, os.POSIX_SPAWN_DUP2
    actions = [(null, 0, os.devnull, os.O_RDONLY, 0), (write, theirs, 1), (write, theirs, 2)]
    with open(ours, "rb") as file:
        try:
            child = os.posix_spawnp(words[0], words, os.environ, file_actions=actions)
        except (OSError, ValueError):
            return b""
        finally:
            os.close(theirs)
        try:
            said = file.read()
        except BaseException:  # a signal's, too: it may go on for ever
            os.kill(child, 9)
            os.waitpid(child, 0)
            raise
    try:
        status = os.waitpid(child, 0)[1]
    except ChildProcessError:  # whoever started us wants no children waited for
        return b""
    return b"%d\n%s" % (status, said)


def _same(subjects: tuple[str, ...], memo: StatCache) -> str:
    """Which paths lead where an earlier one does, and which one that is, by number; few do."""
    identities: list[str] = []
    for path in subjects:
        subject = "identity", (path,)
        identity = memo.get(subject)
        if identity is None:  # the same headers are asked for many sources
            identity = memo[subject] = _identity(path)
        identities.append(identity)
    if len(set(identities)) == len(identities):
        return ""
    first: dict[str, int] = {}
    pairs = [(n, first.setdefault(identity, n)) for n, identity in enumerate(identities) if identity]
    return " ".join(f"{n}={earlier}" for n, earlier in pairs if n != earlier)


def _identity(path: str) -> str:
    try:
        is_now = os.stat(path)
    except OSError:
        return ""
    return f"{is_now.st_dev} {is_now.st_ino}"


def _digest(text: str) -> str:
    return sha256(os.fsencode(text)).hexdigest()


_KINDS = {"file": digest_file, "image": _image, "stat": _stat, "program": _program, "names": _names}


#: With fewer names, asking for each costs less than to list a folder (0.7 us each; /usr/bin 1.2 ms).
_FEW = 128


def found_paths(subjects: tuple[str, ...], memo: StatCache) -> list[str]:
    """The paths that are there, folder by folder, of the names of one of `SEARCHES`.

    Where there are many names, listing a folder and intersecting costs a fraction of asking for each: a
    C++ file has 600 names and 40 folders.
    """
    cut = subjects.index("")
    names = subjects[cut + 1 :]
    tree = tree_of_names(names)
    found = [name for name in names if name[:1] == "/" and os.access(name, os.F_OK)]
    for folder in dict.fromkeys(subjects[:cut]):
        _search(folder, tree, found, memo)
    return found


def tree_of_names(names: "tuple[str, ...] | list[str]") -> dict[str, object]:
    """The relative ones of some names, folder by folder: names of these end in a slash."""
    tree: dict[str, object] = {}
    for name in names:
        if name[:1] == "/":
            continue
        *folders, last = name.split("/")
        node = tree
        for part in folders:
            node = node.setdefault(part + "/", {})  # type: ignore[assignment]
        node[last] = None
    return tree


def digest_of_found(found: "list[str]") -> str:
    """The value of a dependency on what is found: on paths, in order, each with its mark."""
    return _digest("\0".join(found))


def folder_mark(path: str) -> str:
    """What tells a folder from a file: compilers pass over one that has a header's name."""
    return "/" if os.access(path + "/", os.F_OK) else ""  # in half the time of isdir


def _program_mark(path: str) -> str:
    return folder_mark(path) or ("*" if os.access(path, os.X_OK) else "")


def _search(folder: str, tree: dict[str, object], found: list[str], memo: StatCache) -> None:
    waiting = [_look_in(folder, tree, memo)]
    while waiting:  # not recursive: a name may have more parts than Python calls
        for path, below in waiting[-1]:
            if below is None:
                found.append(path)
            else:
                waiting.append(_look_in(path[:-1], below, memo))
                break
        else:
            waiting.pop()


def _look_in(
    folder: str, tree: dict[str, object], memo: StatCache
) -> "Iterator[tuple[str, dict[str, object] | None]]":
    """What is there of a folder's names, with those below; names of folders end in a slash."""
    names = None
    if len(tree) >= _FEW:
        subject = "listed", (folder,)
        listed = memo.get(subject)
        if listed is None:  # many sources look in the same folders
            try:
                listed = "\0".join(os.listdir(folder))
            except OSError:
                listed = ""
            memo[subject] = listed
        if not listed:
            return
        names = frozenset(listed.split("\0"))
    for name, below in tree.items():
        known = names is None or name.rstrip("/") in names or name == "../"
        # Asked even if it is listed: a link may lead nowhere yet.
        if known and os.access(f"{folder}/{name}", os.F_OK):
            yield f"{folder}/{name}", below  # type: ignore[misc]


def encode(dependencies: "list[Dependency] | tuple[Dependency, ...]") -> list[str]:
    """Dependencies as a flat list of texts without NUL: kind, value, number of subjects, subjects."""
    fields: list[str] = []
    for kind, value, subjects in dependencies:
        fields += (kind, value, str(len(subjects)), *subjects)
    return fields


def decode(fields: list[str]) -> list[Dependency]:
    """The dependencies in a flat list of texts, to be given to `check_dependency`. Raises ValueError."""
    dependencies: list[Dependency] = []
    at = 0
    while at < len(fields):
        if at + 3 > len(fields):
            raise ValueError("dependencies end early")
        count = int(fields[at + 2])
        start = at + 3
        at = start + count
        if count < 1 or at > len(fields):
            raise ValueError("dependencies end early")
        dependencies.append(Dependency(fields[start - 3], fields[start - 2], tuple(fields[start:at])))
    return dependencies
