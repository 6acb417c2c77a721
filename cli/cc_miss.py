"""Compiles what is not known yet: the real compiler in one piece, and keeps what it made.

The compiler is told to write into a folder of ours, so that what is kept is surely what this very run made,
whoever else writes to the same names. All that is known of a run of clang (`aot/front/clang_cache.py`) is
known of this one: it is a question as those of `nativecache build --granularity file`, with the depfile and
the terminal in it.

Whatever goes wrong here that is not the compiler's doing ends with the compiler doing it all alone.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from nativecache.aot.errors import BuildError, Configured
from nativecache.aot.front import clang
from nativecache.aot.front.clang_cache import FrontCache
from nativecache.aot.front.manifest import Answer
from nativecache.aot.request import Input
from nativecache.cache.counters import add_counts
from nativecache.cache.dependencies import observe
from nativecache.cache.file_store import FileStore
from nativecache.cache.lookup import EntryStore
from nativecache.cache.since import Seen
from nativecache.cli import account
from nativecache.cli.cc_records import (
    Done,
    note_done,
    overwrite,
    put_file,
    put_outputs,
    shown_beside,
    stamps_of,
)
from nativecache.cli.cc_start import environment, say
from nativecache.cli.cc_words import Passed
from nativecache.linker.signals import Interrupted, catch_signals, ignore_signals, temporary_folder

if TYPE_CHECKING:
    from nativecache.aot.front.clang_question import Question
    from nativecache.cli.cc_start import Compiler
    from nativecache.cli.cc_words import Call

#: What stands in the scratch files before the compiler has written to them.
_UNTOUCHED: Final = b"nativecache: not written\n"


class Ran(NamedTuple):
    """What a run of the compiler came to."""

    code: int
    stdout: bytes
    stderr: bytes


def compile_and_keep(call: Call, compiler: Compiler, root: str, key: str, terminal: list[str]) -> int | None:
    """Compiles, or takes what was compiled; returns the exit code, None where that is to be done again.

    Raises Passed for what cannot be kept, before anything is written.
    """
    catch_signals()
    try:
        with temporary_folder() as scratch:
            return _Miss(call, compiler, root, terminal, scratch).run(key)
    except Interrupted as interrupted:
        ignore_signals()
        signal.signal(interrupted.number, signal.SIG_DFL)
        os.kill(os.getpid(), interrupted.number)
        raise
    except OSError:  # no room, no processes
        return None


class _Miss:
    """A compile whose record does not hold."""

    def __init__(self, call: Call, compiler: Compiler, root: str, terminal: list[str], scratch: Path) -> None:
        self._call, self._compiler, self._root, self._terminal = call, compiler, root, terminal
        self._object, self._depfile = scratch / "made.o", scratch / "made.d"
        self._all = scratch / "all.d"
        self._seen = Seen()
        self._environ = environment()
        read_only = self._environ.get("NATIVECACHE_CACHE_MODE") == "read-only"
        store = FileStore(Path(root), read_only=read_only, warn=lambda _: None)
        self._store = EntryStore(store)
        self._source = Input.named(call.source, call.language)

    def run(self, key: str) -> int | None:
        check = self._environ.get("NATIVECACHE_COMPILER_CHECK", "") or "auto"
        with FrontCache(self._store, self._environ, check, self._busy(), None, self._seen) as cache:
            question = self._question(cache)
            known = cache.look_up(question)
            made: Answer | int | None = known
            if known:
                put_outputs(self._call, known.output, known.depfile)
                say(known.messages)
            else:
                made = self._compile(asks=cache.asks_for_time(question))
            if not isinstance(made, Answer):
                return made
            with suppress(Exception):  # all is done that was asked for
                if not known:
                    self._keep(cache, question, made)
                self._note(cache, question, made, key)
            return 0

    def _busy(self) -> list[str]:
        """Folders that the command line names, in which files may come and go meanwhile."""
        call = self._call
        paths = [call.output, call.source, *([call.depfile] if call.depfile else [])]
        folders = [os.path.dirname(path) or "." for path in paths]
        named = [word.removeprefix("-I") for word in call.flags if word[:1] != "-" or word[:2] == "-I"]
        return [*folders, *named]

    def _question(self, cache: FrontCache) -> Question:
        """The question that this compile asks. Raises Passed where no answer may be kept."""
        try:
            front = clang.Clang((self._compiler.path,), 0)
            beside = shown_beside(self._call, self._terminal)
            flags = tuple(self._call.flags)
            question = cache.question(front, self._source, 0, flags, whole=True, beside=beside)
        except BuildError:
            raise Passed("refused") from None
        if question is None or not cache.compilers.known_in_full(front):
            raise Passed("refused")
        return question

    def _compile(self, *, asks: bool) -> Answer | int | None:
        """What the compiler makes; its exit code where it makes no object; None where it is to try alone.

        `asks`: it is asked whether it meets the time of day.
        """
        dated = None
        if asks:
            flags, quiet = clang.asking_for_time(self._call.flags)
            ran = self._run(flags)
            if self._read_special():
                return None
            dated = clang.met_time_of_day(ran.stderr.decode("utf-8", "replace")) or None
            if not dated and ran.code == 0 and not (quiet and b" remark: " in ran.stderr):
                return self._made(ran._replace(stderr=b"") if quiet else ran, dated=False)
            if not (dated or quiet):
                return self._fail(ran)
        ran = self._run(self._call.flags)
        if self._read_special():
            return None
        return self._made(ran, dated=dated) if ran.code == 0 else self._fail(ran)

    def _run(self, flags: Sequence[str]) -> Ran:
        call = self._call
        for path in (self._object, self._depfile):
            path.write_bytes(_UNTOUCHED)
        if call.depends:
            noted = [*call.rule(), "-MF", os.fspath(self._depfile)]
        else:
            noted = clang.depfile_flags(self._all)
        words = [*flags, *noted, "-c", "-o", os.fspath(self._object), call.source]
        command = [self._compiler.called, *words]
        with open(self._all.with_name("stdout"), "w+b") as stdout:
            code, stderr = self._watch(command, stdout)
            stdout.seek(0)
            return Ran(code, stdout.read(), stderr)

    def _read_special(self) -> bool:
        """Whether the compiler has read what is no plain file, as standard input that we did not give it.

        It may be read once only, so it is left to the compiler in place of us.
        """
        try:
            names = (self._depfile if self._call.depends else self._all).read_bytes().split()
        except OSError:
            return False
        return any(
            os.path.exists(name) and not (os.path.isfile(name) or os.path.isdir(name)) for name in names
        )

    def _watch(self, command: list[str], stdout: BinaryIO) -> tuple[int, bytes]:
        """Runs the compiler, with a terminal to write its messages to if we have one."""
        ours, theirs = _terminal() if self._terminal else os.pipe()
        with open(ours, "rb", buffering=0) as said:
            try:
                child = subprocess.Popen(
                    command,
                    executable=self._compiler.path,
                    env=self._environ,
                    stdin=None if stat.S_ISREG(os.fstat(0).st_mode) else subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=theirs,
                    close_fds=False,
                )
            finally:
                os.close(theirs)
            try:
                pieces = list(_pieces(said))
                return child.wait(), b"".join(pieces)
            except BaseException:
                child.terminate()
                child.wait()
                raise

    def _made(self, ran: Ran, *, dated: bool | None) -> Answer | None:
        """The answer in what a run has written, which is put where it belongs."""
        data = self._object.read_bytes()
        depfile = os.fsdecode(self._depfile.read_bytes()) if self._call.depends else ""
        if ran.stdout or data == _UNTOUCHED or os.fsencode(depfile) == _UNTOUCHED:
            return None
        # Debug information for Windows has the output's path (S_OBJNAME), and may have the command line. Only
        # the folder's own name is sure to be in it: -fdebug-prefix-map changes what is before.
        ours = os.fsencode(self._object.parent.name)
        if ours in data or ours in ran.stderr:
            return None
        put_outputs(self._call, data, depfile)
        messages = ran.stderr.decode("utf-8", "surrogateescape")
        say(messages)
        return Answer(data, messages, True if _has_time(data) else dated, depfile)

    def _fail(self, ran: Ran) -> int | None:
        """Does to the outputs what the compiler did to those in our folder, and says what it said.

        Returns the exit code, None where the reason may be our folder.
        """
        folder = os.fsencode(self._object.parent)
        if ran.code != 1 or ran.stdout or folder in ran.stderr or b"No space left" in ran.stderr:
            return None
        call = self._call
        for made, path in ((self._depfile, call.depfile), (self._object, call.output)):
            if not path:
                continue
            if not made.exists():
                with suppress(OSError):
                    os.unlink(path)
            elif (data := made.read_bytes()) != _UNTOUCHED:
                put = overwrite if path == call.depfile else put_file
                put(path, data)
        say(ran.stderr.decode("utf-8", "surrogateescape"))
        self._count("failed")
        return ran.code

    def _keep(self, cache: FrontCache, question: Question, answer: Answer) -> None:
        """Keeps what was made, if all is known that it rests on."""
        call = self._call
        depfile = self._all
        targets: tuple[str, ...] = clang.TARGETS
        if call.depends == "-MD" and clang.are_plain(call.targets[1::2]):
            depfile, targets = self._depfile, tuple(call.targets[1::2])
        try:
            if depfile == self._all and call.depends:
                rule = ("-M", "-MT", *clang.TARGETS)
                clang.preprocess_for_rule(question.clang, self._source, (*call.flags, *rule), depfile)
            cache.look_ahead(question)
            cache.keep(question, answer, depfile, targets)
            cache.save()
        except (BuildError, Configured):
            cache.not_kept[call.source] = "it cannot be told what it rests on"

    def _note(self, cache: FrontCache, question: Question, answer: Answer, key: str) -> None:
        """Notes the shorter way to an answer, and counts what happened."""
        kept = cache.kept(question)
        self._count("not_kept" if kept is None else "hits" if cache.unchanged else "misses")
        if kept is None or not self._store.keeps:
            return
        dependencies, result = kept
        rests = [*dependencies, *(observe("program", (path,)) for path in cache.compilers.programs)]
        stamps = stamps_of(rests, self._seen.moment.time_ns)
        note_done(self._root, key, Done(result, answer.size, answer.messages, answer.depfile, rests, stamps))
        account.prune_in_time(self._store)

    def _count(self, what: str) -> None:
        figures = {"wrapped": 1, f"wrapped_{what}": 1}
        add_counts(
            self._root,
            {**figures, "bytes_read": self._store.bytes_read, "bytes_written": self._store.bytes_written},
        )


#: How objects begin in which there is no time: ELF, bitcode, WebAssembly, Mach-O of 64 and 32 bits.
_TIMELESS: Final = (b"\x7fELF", b"BC\xc0\xde", b"\0asm", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe")


def _has_time(data: bytes) -> bool:
    """Whether an object says when it was made: COFF for Microsoft's linker does, from its fifth byte on."""
    return not data.startswith(_TIMELESS) and data[4:8] != bytes(4)


def _terminal() -> tuple[int, int]:
    """Both ends of a terminal like the one that standard error is; what is written comes out as it is."""
    import fcntl
    import termios

    ours, theirs = os.openpty()
    settings = termios.tcgetattr(theirs)
    settings[1] &= ~termios.OPOST
    termios.tcsetattr(theirs, termios.TCSANOW, settings)
    size = fcntl.ioctl(2, termios.TIOCGWINSZ, b"\0" * 8)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
    return ours, theirs


def _pieces(said: io.FileIO) -> Iterator[bytes]:
    """All that is written to a pipe or a terminal until nobody has it open any more."""
    try:
        while piece := said.read(1 << 16):
            yield piece
    except OSError as error:
        if error.errno != errno.EIO:  # so a terminal ends
            raise
