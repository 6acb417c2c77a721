"""Finished compiles: what a compiler's command line led to, so that the same one need do nothing again.

A compile's record is an entry in the cache folder whose key is the command: its words but for where it writes
to, the compiler, the folder it is given in, and what of the environment shows. Its payload is texts between
NULs: for each of some answers, newest first, the key of the entry with the object, that object's size, what
clang said, its depfile, and all that the answer rests on (cache/dependencies.py). The entry is the one that
`aot/front/clang_cache.py` keeps; a record is only the quicker way to it.

Beside the digest of a file that is read stands its status (`stat` there), if it had that for a while: as long
as it has, its content need not be read again. No program can set the time of change back (ccache's inode
cache rests on the same). With another status the content counts.

This module is loaded before anything else, to answer in no time: it imports only what is as quick to load.
"""

import os
import time

from nativecache.cache.dependencies import Dependency, check_dependency, decode, encode, measure, still_valid
from nativecache.cache.files import make_folder, read_plain, write_all, write_file
from nativecache.cache.format import CorruptBytes, check_key, seal, unseal
from nativecache.cache.layout import entry_path
from nativecache.cache.own_code import quick_stamps
from nativecache.cache.recipe import Recipe
from nativecache.cli.cc_words import Call
from nativecache.linker.environment import variables_seen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    StatCache = dict[tuple[str, tuple[str, ...]], str]

#: Raised whenever a record's form changes, or what it rests on.
SCHEMA = 1

#: The modules that decide what a record means, and when it holds.
_DECIDING = (
    *("cli/cc_records.py", "cli/cc_words.py", "cli/cc_miss.py", "cache/dependencies.py"),
    *("aot/front/clang_cache.py", "aot/front/questions.py", "aot/front/elsewhere.py"),
)

#: Answers per record: of branches that are switched, and of edits that are undone.
_ANSWERS = 4

#: As in cache/folder_store.py: how exact the time of last use is.
_TOUCH_SECONDS = 3600

#: Ours that say where the cache is, or whether it is asked, and not what it answers.
_PLACES = ("NATIVECACHE_DIR", "NATIVECACHE_DISABLE", "NATIVECACHE_TRUST_CACHE_DIR")


#: A change that comes so shortly after another one may get the same time.
_SETTLED_NS = 2_000_000_000


class Done:
    """A compile that was done: the key of the entry with its object, and what else came of it.

    `stamps`: the status of each file among its dependencies, in their order, or "".
    """

    def __init__(
        self,
        result: str,
        size: int,
        messages: str,
        depfile: str,
        dependencies: "list[Dependency]",
        stamps: "list[str]",
    ) -> None:
        self.result, self.size, self.messages, self.depfile = result, size, messages, depfile
        self.dependencies, self.stamps = dependencies, stamps

    def is_valid(self, memo: "StatCache") -> bool:
        """Whether all that it rests on is as it was."""
        stamps = iter(self.stamps)
        for kind, value, subjects in self.dependencies:
            if kind == "file" and (stamp := next(stamps)) and measure("stat", subjects, memo) == stamp:
                memo.setdefault((kind, subjects), value)
        return still_valid(self.dependencies, memo)


def stamps_of(dependencies: "list[Dependency]", since_ns: int) -> "list[str]":
    """The status of each file among dependencies, "" for what was changed shortly before a time, or later.

    The files were read after that time.
    """
    stamps = []
    for kind, _, subjects in dependencies:
        if kind == "file":
            stamp = measure("stat", subjects)
            changed = max(map(int, stamp.split(" ")[1:3]), default=since_ns)
            stamps.append(stamp if changed + _SETTLED_NS < since_ns else "")
    return stamps


def shown_beside(call: Call, terminal: "list[str]") -> "tuple[str, ...]":
    """What a compile's answer shows besides its object: words of its depfile, and of the terminal."""
    return (*call.rule(), "", *terminal)


def call_recipe(call: Call, compiler: str, terminal: "list[str]", environ: "Mapping[str, str]") -> Recipe:
    """What a compile's record is kept under. `terminal`: what clang's words depend on there."""
    ours = sorted(name for name in environ if name.startswith("NATIVECACHE_") and name not in _PLACES)
    return Recipe(
        ("kind", "compiled"),
        ("schema", str(SCHEMA)),
        ("code", quick_stamps(_DECIDING)),
        ("compiler", compiler),
        ("program", measure("program", (compiler,))),
        ("stat", measure("stat", (compiler,))),
        ("folder", os.getcwd()),
        ("source", call.source),
        ("language", call.language),
        *[("flag", flag) for flag in call.flags],
        *[("beside", word) for word in shown_beside(call, terminal)],
        *[("variable", variable) for variable in variables_seen(environ)],
        *[("setting", f"{name}={environ[name]}") for name in ours],
    )


def find_done(root: str, key: str, memo: "StatCache") -> "tuple[Done, bytes] | None":
    """What the same command led to, and its object; None where something has changed, or nothing is kept."""
    try:
        for done in _read(root, key):
            if done.is_valid(memo):
                return done, _object(root, done)
    except (OSError, CorruptBytes, ValueError):
        pass  # who asks the cache in full finds out
    return None


def _read(root: str, key: str) -> "list[Done]":
    return _unpack(unseal(key, _load(root, key))[0])


def _load(root: str, key: str) -> bytes:
    path = entry_path(root, key)
    data, used = read_plain(path)
    if abs(time.time() - used) > _TOUCH_SECONDS:
        try:  # noqa: SIM105 - contextlib is slow to import
            os.utime(path)
        except OSError:
            pass  # a folder that can only be read
    return data


def _object(root: str, done: Done) -> bytes:
    import zlib

    payload, _ = unseal(done.result, _load(root, done.result))
    unfolding = zlib.decompressobj()
    try:
        data = unfolding.decompress(payload, done.size + 1)
    except zlib.error:
        raise CorruptBytes("folding") from None
    if len(data) != done.size:
        raise CorruptBytes("folding")
    return data


def note_done(root: str, key: str, done: Done) -> None:
    """Keeps what a command led to, before what it led to earlier, if that can be done."""
    try:
        others = [one for one in _read(root, key) if one.result != done.result]
    except (OSError, CorruptBytes, ValueError):
        others = []
    try:
        payload = encode_record([done, *others[: _ANSWERS - 1]])
        path = entry_path(root, key)
        make_folder(os.path.dirname(path))
        write_file(path, seal(key, payload, b"{}"))
    except (OSError, ValueError):
        pass  # it cannot be written, or a text holds a NUL


def encode_record(answers: "list[Done]") -> bytes:
    """The payload of a record. Raises ValueError where a text cannot be in one."""
    fields: list[str] = []
    for done in answers:
        rests = encode(done.dependencies)
        sizes = str(len(rests)), str(len(done.stamps))
        fields += (done.result, str(done.size), done.messages, done.depfile, *sizes, *rests, *done.stamps)
    if any("\0" in field for field in fields):
        raise ValueError("a text holds a NUL")
    return os.fsencode("\0".join(fields))


def _unpack(payload: bytes) -> "list[Done]":
    """The answers in a record's payload. Raises ValueError."""
    fields = os.fsdecode(payload).split("\0")
    answers = []
    at = 0
    while at < len(fields):
        result, size, messages, depfile, rests, count = fields[at : at + 6]
        start = at + 6 + int(rests)
        end = start + int(count)
        dependencies, stamps = decode(fields[at + 6 : start]), fields[start:end]
        for dependency in dependencies:
            check_dependency(dependency)
        check_key(result)
        # A command is not run again to be heard, and what rests on nothing would hold for ever.
        kinds = [dependency.kind for dependency in dependencies]
        if end > len(fields) or "file" not in kinds or "said" in kinds or kinds.count("file") != len(stamps):
            raise ValueError("no answer")
        answers.append(Done(result, int(size), messages, depfile, dependencies, stamps))
        at = end
    return answers


def put_file(path: str, data: bytes) -> None:
    """Puts a file in place of what is there in one step, with the mode that files get. Raises OSError."""
    write_file(path, data, 0o666)


def overwrite(path: str, data: bytes) -> None:
    """Writes over a file that is there, which keeps its mode and its names, as clang does with a depfile.

    Raises OSError.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def put_outputs(call: Call, data: bytes, depfile: str) -> None:
    """Writes what a compile writes: the depfile first, as clang does. Raises OSError."""
    if call.depfile:
        overwrite(call.depfile, os.fsencode(depfile))
    put_file(call.output, data)
