"""Facts about files: what a result was made from, noted so that it can be checked whether it still holds.

A fact is a kind, a value and the subjects it is about. Whoever keeps a result notes the facts it rests on;
as long as all of them hold, making the result again would give the same.

    file      PATH                  the SHA-256 of the content: touching the file changes nothing
    image     PATH                  content and mode of a file that was written
    stat      PATH                  size, times and inode: for what is big and seldom changes. Sound, since
                                    no program can set the change time back, but a copy is another file
    program   PATH                  where the symbolic links end, size and modification time
    names     FOLDER                which names are in the folder
    found     FOLDER... "" NAME...  which of the names, relative paths, are in which folder: a file that
                                    appears where it would be found first makes a difference

What is missing or closed has the value "", and so has the content of what is no plain file: a FIFO is not
waited for, nor a device read without end. Nothing here raises OSError.

This module is loaded before anything else, to answer in no time when nothing has changed: it imports only
what every Python process has loaded, hashlib and seal.py.
"""

import hashlib
import os
import stat

from nativecache.cache.seal import open_plain

TYPE_CHECKING = False  # typing's, whose import would take longer than all that is done here
if TYPE_CHECKING:
    from collections.abc import Iterator

Fact = tuple[str, str, tuple[str, ...]]  # kind, value, subjects
Memo = dict[tuple[str, tuple[str, ...]], str]

_COARSE_NS = 2_000_000_000  # what file systems without fractions of a second may be off


def measure(kind: str, subjects: tuple[str, ...], memo: Memo | None = None) -> str:
    """The value of a fact as things are now, or as `memo` has it. ValueError for an unknown kind."""
    if memo is None:
        memo = {}
    value = memo.get((kind, subjects))
    if value is None:
        if kind == "found":
            value = _found(subjects)
        elif kind in _KINDS and len(subjects) == 1:
            value = _KINDS[kind](subjects[0])
        else:
            raise ValueError(f"no such fact: {kind!r} with {len(subjects)} subjects")
        memo[kind, subjects] = value
    return value


def check_fact(fact: Fact) -> None:
    """Raises ValueError for what cannot be a fact: it says of what, and of a kind that can be measured."""
    kind, _, subjects = fact
    known = "" in subjects if kind == "found" else kind in _KINDS and len(subjects) == 1
    if not known or any("\0" in subject for subject in subjects):
        raise ValueError(f"no such fact: {kind!r} with {len(subjects)} subjects")


def note(kind: str, subjects: tuple[str, ...], memo: Memo | None = None) -> Fact:
    """The fact as it is now."""
    return kind, measure(kind, subjects, memo), subjects


def hold(facts: "list[Fact] | tuple[Fact, ...]", memo: Memo | None = None) -> bool:
    """Whether all facts are still so; the first that is not ends the search."""
    return all(measure(kind, subjects, memo) == value for kind, value, subjects in facts)


def settled(fact: Fact, since_ns: int) -> bool:
    """Whether what the fact is about was last changed before a time, so that it was the same ever after.

    A fact noted after its subject was read says nothing about what was read unless it is settled. Nor does
    one about a file that is not there any more.
    """
    kind, value, subjects = fact
    if kind == "found":
        folders = subjects[: subjects.index("")]
        paths = [*_found_paths(subjects), *(link for folder in folders for link in _links(folder))]
        return all(_unchanged(path, since_ns) for path in paths)
    if kind == "names":
        return _unchanged(subjects[0], since_ns)
    path = subjects[0]
    real = os.path.realpath(path)
    return value != "" and all(_unchanged(at, since_ns) for at in (path, real, *_links(path)))


def _links(path: str) -> list[str]:
    """The symbolic links that lead to a file: in its path, and in their targets."""
    found: list[str] = []
    if os.path.realpath(path) == os.path.abspath(path):
        return found
    waiting = [os.path.join(os.getcwd(), path)]
    while waiting and len(found) < _MOST_LINKS:
        parts = waiting.pop().split("/")
        for end in range(2, len(parts) + 1):
            link = "/".join(parts[:end])
            try:
                target = os.readlink(link)
            except OSError:  # it is none
                continue
            found.append(link)
            waiting.append("/".join((os.path.join(os.path.dirname(link), target), *parts[end:])))
            break
    return found


_MOST_LINKS = 40  # as many as Linux follows


def _unchanged(path: str, since_ns: int) -> bool:
    try:
        changed = os.lstat(path).st_ctime_ns
    except OSError:
        return True
    return changed + (0 if changed % 1_000_000_000 else _COARSE_NS) < since_ns


#: Files are read in pieces, for IR may be half of what memory holds.
_PIECE = 1 << 20


def digest_file(path: str) -> str:
    """The SHA-256 of a file's content in hexadecimal, or ""."""
    try:
        with open_plain(path) as file:
            digest = hashlib.sha256()
            while piece := file.read(_PIECE):
                digest.update(piece)
            return digest.hexdigest()
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


def _found(subjects: tuple[str, ...]) -> str:
    return _digest("\0".join(_found_paths(subjects)))


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()


_KINDS = {"file": digest_file, "image": _image, "stat": _stat, "program": _program, "names": _names}


#: With fewer names, asking for each costs less than to list a folder (0.7 us each; /usr/bin 1.2 ms).
_FEW = 128


def _found_paths(subjects: tuple[str, ...]) -> list[str]:
    """What is there of the names, folder by folder.

    Where there are many names, listing a folder and intersecting costs a fraction of asking for each: a
    C++ file has 600 names and 40 folders.
    """
    cut = subjects.index("")
    tree: dict[str, object] = {}
    for name in subjects[cut + 1 :]:
        *folders, last = name.split("/")
        node = tree
        for part in folders:
            node = node.setdefault(part + "/", {})  # type: ignore[assignment]
        node[last] = None
    found: list[str] = []
    for folder in dict.fromkeys(subjects[:cut]):
        _search(folder, tree, found)
    return found


def _search(folder: str, tree: dict[str, object], found: list[str]) -> None:
    waiting = [_look_in(folder, tree)]
    while waiting:  # not recursive: a name may have more parts than Python calls
        for path, below in waiting[-1]:
            if below is None:
                found.append(path)
            else:
                waiting.append(_look_in(path[:-1], below))
                break
        else:
            waiting.pop()


def _look_in(folder: str, tree: dict[str, object]) -> "Iterator[tuple[str, dict[str, object] | None]]":
    """What is there of a folder's names, with those below; names of folders end in a slash."""
    names = None
    if len(tree) >= _FEW:
        try:
            names = frozenset(os.listdir(folder))
        except OSError:
            return
    for name, below in tree.items():
        listed = names is None or name.rstrip("/") in names or name == "../"
        # Asked even if it is listed: a link may lead nowhere yet.
        if listed and os.access(f"{folder}/{name}", os.F_OK):
            yield f"{folder}/{name}", below  # type: ignore[misc]


def encode(facts: "list[Fact] | tuple[Fact, ...]") -> list[str]:
    """Facts as a flat list of texts without NUL: kind, value, number of subjects, subjects."""
    fields: list[str] = []
    for kind, value, subjects in facts:
        fields += (kind, value, str(len(subjects)), *subjects)
    return fields


def decode(fields: list[str]) -> list[Fact]:
    """The facts of such a list, which `check_fact` can be asked about. ValueError if it is not one."""
    facts: list[Fact] = []
    at = 0
    while at < len(fields):
        if at + 3 > len(fields):
            raise ValueError("facts end early")
        count = int(fields[at + 2])
        start = at + 3
        at = start + count
        if count < 1 or at > len(fields):
            raise ValueError("facts end early")
        facts.append((fields[start - 3], fields[start - 2], tuple(fields[start:at])))
    return facts
