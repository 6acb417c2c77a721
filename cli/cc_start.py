"""The command as a compiler: `nativecache cc …`, before a compiler's path, or under a compiler's name.

A compile that was done before is answered here, before anything else is loaded. What is not to be kept runs
the real compiler in place of this process: its words, its messages and its exit code are its own.

This module is loaded before anything else: it imports only what is as quick to load.
"""

import os
import sys

from nativecache.cache.counters import add_counts
from nativecache.cache.layout import layout_folder, make_folders
from nativecache.cache.location import default_cache_folder, distrust
from nativecache.cli.cc_names import is_compiler
from nativecache.cli.cc_words import Call, Passed, read_call
from nativecache.linker.environment import environment_elsewhere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_TRUE = ("1", "true", "t", "yes", "y", "on")
_OURS = "nativecache"

#: Exit codes of shells for a command that cannot be run, and for one that is not there.
_CANNOT_RUN, _NOT_FOUND = 126, 127


class Compiler:
    """The real compiler: its path, and the name that it is to see itself called by."""

    def __init__(self, path: str, called: str) -> None:
        self.path, self.called = path, called
        self.real = os.path.realpath(path)

    @property
    def is_clang(self) -> bool:
        """Whether it is clang itself, not another compiler or a wrapper, and as a compiler of C or C++."""
        return os.path.basename(self.real).startswith("clang") and is_compiler(os.path.basename(self.path))

    @property
    def is_cplusplus(self) -> bool:
        """Whether it takes sources for C++ (clang/lib/Driver/ToolChain.cpp: names with `++`)."""
        return os.path.basename(self.path).rstrip("-.0123456789").endswith("++")


def find_compiler(name: str, ours: str) -> "Compiler | None":
    """The compiler of a name: a path, or the first on PATH that does not lead to this very program."""
    if "/" in name and not _is_ours(name, ours):
        return Compiler(name, name)
    first = True
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder or ".", os.path.basename(name))
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            if not _is_ours(path, ours):
                # By its name it would find a link of ours, where it looks for itself.
                return Compiler(path, name if first else path)
            first = False
    return None


def _is_ours(path: str, ours: str) -> bool:
    real = os.path.realpath(path)
    return real == ours or os.path.basename(real) == _OURS


def run_compiler(words: "list[str]") -> int:
    """Does what a compiler's command line asks for: returns its exit code, or becomes the compiler."""
    compiler = find_compiler(words[0], os.path.realpath(sys.argv[0]))
    if compiler is None:
        say(f"nativecache: error: {words[0]}: there is no such compiler\n")
        return _NOT_FOUND
    environ = os.environ
    off = environ.get("NATIVECACHE_DISABLE", "").lower() in _TRUE
    # Where one of them is closed, a file that is opened would get its number.
    off = off or None in (sys.stdin, sys.stdout, sys.stderr)
    root = "" if off else _usable_root()
    if not root:
        return become(compiler, words[1:])
    try:
        call = _read(compiler, words[1:])
        code = _answer(call, compiler, root)
    except Passed as passed:
        add_counts(root, {"wrapped": 1, f"passed_{passed.reason}": 1})
        return become(compiler, words[1:])
    if code is None:
        return become(compiler, words[1:])
    return code


def _usable_root() -> str:
    """The cache folder, made if it is not there; "" where none can be trusted, or asked for."""
    environ = os.environ
    mode = environ.get("NATIVECACHE_CACHE_MODE", "")
    if mode == "off" or environ.get("NATIVECACHE_NO_CACHE", "").lower() in _TRUE:
        return ""
    try:
        root = os.path.abspath(default_cache_folder(environ))
        trusted = environ.get("NATIVECACHE_TRUST_CACHE_DIR", "").lower() in _TRUE
        if not trusted and distrust(root):
            return ""
        if not os.path.isdir(layout_folder(root)):
            make_folders(root)
            if not trusted and distrust(root):
                return ""
    except OSError:
        return ""
    return root


def _read(compiler: Compiler, words: "list[str]") -> Call:
    """The compile that is asked for, if it may be kept. Raises Passed."""
    if not compiler.is_clang:
        raise Passed("not_clang")
    if environment_elsewhere(os.environ):
        raise Passed("environment")
    call = read_call(words, cplusplus=compiler.is_cplusplus)
    if not os.path.isfile(call.source):
        raise Passed("no_source")
    paths = [call.output, *([call.depfile] if call.depfile else [])]
    for path in paths:
        if path == "-" or (os.path.exists(path) and not (os.path.isfile(path) and os.access(path, os.W_OK))):
            raise Passed("special_output")
        if not os.access(os.path.dirname(path) or ".", os.W_OK | os.X_OK):
            raise Passed("special_output")
    if call.depfile and os.path.islink(call.depfile):  # which clang writes through
        raise Passed("special_output")
    if len({*map(os.path.realpath, (*paths, call.source))}) <= len(paths):
        raise Passed("special_output")
    return call


def terminal_words() -> "list[str]":
    """What clang's messages depend on where standard error is a terminal."""
    if not os.isatty(2):
        return []
    size = os.get_terminal_size(2)
    names = ("TERM", "COLUMNS", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLORTERM")
    return ["terminal", str(size.columns), *(f"{name}={os.environ.get(name)}" for name in names)]


def _answer(call: Call, compiler: Compiler, root: str) -> "int | None":
    """The exit code of a compile that was answered or done; None where the compiler is to do it itself."""
    from nativecache.cli import cc_records

    try:
        terminal = terminal_words()
        key = cc_records.call_recipe(call, compiler.path, terminal, os.environ).key()
    except OSError:  # the folder is gone
        return None
    known = cc_records.find_done(root, key, {}) if _asks_records() else None
    if known:
        done, data = known
        try:
            cc_records.put_outputs(call, data, done.depfile)
        except OSError:
            return None  # the compiler says why
        say(done.messages)
        add_counts(root, {"wrapped": 1, "wrapped_hits": 1, "bytes_read": len(data)})
        return 0
    from nativecache.cli.cc_miss import compile_and_keep

    return compile_and_keep(call, compiler, root, key, terminal)


def _asks_records() -> bool:
    return os.environ.get("NATIVECACHE_CACHE_MODE", "") in ("", "read-write", "read-only")


def say(messages: str) -> None:
    """Repeats what a compiler said on standard error."""
    rest = os.fsencode(messages)
    if not rest:
        return
    _restore_signals()
    try:
        while rest:
            rest = rest[os.write(2, rest) :]
    except OSError:
        pass  # nobody can be told
    _ignore_signals()  # what is to be kept yet may be larger than a file may be


def _restore_signals() -> None:
    """Python ignores these, and what ignores them would pass that on."""
    import _signal  # type: ignore[import-not-found]  # in the interpreter; `signal` takes 5 ms

    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    _signal.signal(_signal.SIGXFSZ, _signal.SIG_DFL)


def _ignore_signals() -> None:
    """As Python does from its start."""
    import _signal

    _signal.signal(_signal.SIGPIPE, _signal.SIG_IGN)
    _signal.signal(_signal.SIGXFSZ, _signal.SIG_IGN)


def environment() -> "dict[str, str]":
    """The environment as this process was given it: Python says LC_CTYPE where nobody else does (PEP 538)."""
    environ = dict(os.environ)
    if environ.get("LC_CTYPE") in ("C.UTF-8", "C.utf8", "UTF-8"):
        try:
            with open("/proc/self/environ", "rb") as file:
                given = file.read().split(b"\0")
        except OSError:
            return environ
        said = [variable for variable in given if variable.startswith(b"LC_CTYPE=")]
        if not said:
            del environ["LC_CTYPE"]
        else:
            environ["LC_CTYPE"] = os.fsdecode(said[0][len(b"LC_CTYPE=") :])
    return environ


def become(compiler: Compiler, words: "list[str]") -> "NoReturn":
    """Runs the real compiler in place of this process."""
    environ = environment()
    _restore_signals()
    try:
        os.execve(compiler.path, [compiler.called, *words], environ)
    except OSError as error:
        say(f"nativecache: error: {compiler.path}: {error.strerror}\n")
        os._exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _CANNOT_RUN)
