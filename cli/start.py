"""The entry point: answers at once where there is nothing to do, and only else loads what builds."""

import os
import sys
import time

from nativecache.cli.cc_names import compiler_words
from nativecache.cli.working_folder import forget_modules, leave_working_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from nativecache.cache.since import Seen

#: The one place of the version; pyproject.toml reads it from here.
VERSION = "0.1.0"


def main(start: float = 0.0) -> None:
    """Runs the command line. Exit codes are those of `main.main`, and 128 and the number of a signal.

    `start`: when that began, if it was before.
    """
    try:
        _answer(start or time.perf_counter())
    except KeyboardInterrupt:  # so early that there is nothing to clean up
        end_interrupted(2)


def command() -> None:
    """`main` as a process of its own, which ends with it.

    Python would take all that it has apart first: behind an edit of sqlite3.c that takes 0.05 s.
    """
    start = time.perf_counter()
    if sys.argv[1:2] == ["build"] and os.environ.get("NATIVECACHE_SERVER") and sys.platform == "linux":
        try:
            code = _build_elsewhere(start)
        except KeyboardInterrupt:
            end_interrupted(2)
        if code is not None:
            os._exit(code)
    main(start)
    import atexit

    atexit._run_exitfuncs()
    try:
        sys.stderr.flush()
    except OSError:
        os._exit(1)
    os._exit(0)


def _build_elsewhere(start: float) -> "int | None":
    """The exit code of a build that a resident process did; None where none is, or can stand in."""
    from nativecache.cli import server_place

    if not server_place.is_asked_for(os.environ):
        return None
    server_place.State.entered = True
    if not server_place.is_private(server_place.folder(os.environ)):
        return None
    from nativecache.cli.server_client import build_elsewhere

    return build_elsewhere(start)


def _answer(start: float) -> None:
    if words := compiler_words(sys.argv):
        from nativecache.cli.cc_start import run_compiler

        forget_modules()  # what the real compiler is given stays as it is
        code = run_compiler(words)
        os._exit(code)  # nothing is left to be done, and Python would take 2 ms for it
    if "site" not in sys.modules:  # the command started Python without it
        import site

        site.main()
    leave_working_folder()
    _open_standard_files()
    try:
        code = _run(sys.argv[1:], start)
        sys.stdout.flush()
    except OSError as error:
        code = 1
        _complain(error)
    if code:
        sys.exit(code)


def _run(words: "list[str]", start: float) -> int:
    if words == ["--version"]:
        print(f"nativecache, version {VERSION}")
        return 0
    seen = None
    if words[:1] == ["build"]:
        from nativecache.cache.since import Seen

        seen = Seen()
        if _answer_if_up_to_date(words, start, seen):
            return 0
    from nativecache.linker.signals import Interrupted, catch_signals, ignore_signals

    catch_signals()
    try:
        if words[:1] == ["build"]:
            import gc

            gc.disable()  # while all is loaded that a build needs, and then (see main.build)
        from nativecache.cli.main import run

        return run(words, seen)
    except Interrupted as interrupted:
        end_interrupted(interrupted.number)
    finally:
        ignore_signals()  # all is done but for leaving


def end_interrupted(number: int) -> "NoReturn":
    """Says that a signal ended this command, and ends it."""
    behind = "\n" if sys.stderr.isatty() else ""  # the terminal's ^C
    print(f"{behind}nativecache: interrupted; what was compiled is kept", file=sys.stderr)
    sys.exit(128 + number)


def _open_standard_files() -> None:
    """Where one is closed, the next file to be opened would get its number, and what others print."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, number)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))
    if sys.stdout.errors == "strict" and hasattr(sys.stdout, "reconfigure"):
        # A name that its encoding lacks shall not end a build that has done its work.
        sys.stdout.reconfigure(errors="backslashreplace")


def _complain(error: OSError) -> None:
    """A line about what the machine would not do; none where nobody listens any more (`| head`)."""
    name = error.filename
    try:
        sys.stdout.flush()
    except OSError:
        name = "standard output"
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # it is flushed once more at the end
    if not isinstance(error, BrokenPipeError):
        from contextlib import suppress

        from nativecache.linker.shown import error_line

        where = f"{os.fsdecode(name)}: " if name else ""
        with suppress(OSError):
            print(error_line(f"{where}{error.strerror or error}"), file=sys.stderr)
    try:
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # likewise, and with an exit code of its own


def _answer_if_up_to_date(words: "list[str]", start: float, seen: "Seen") -> bool:
    """Whether a build like this was done and would do the same again; says so. Adds what it looks at."""
    from nativecache.cache.counters import add_counts
    from nativecache.cli import up_to_date

    try:
        command = up_to_date.read_command(words, os.environ)
    except OSError:  # no folder for a cache; who builds says so
        return False
    found = up_to_date.check(command, seen) if command else None
    if not command or not found:
        return False
    seconds = time.perf_counter() - start
    if command.stats and not _write_stats(found.figures, command.stats, seconds):
        return False  # who builds says so
    add_counts(command.root, {"up_to_date": 1})
    for warning in found.warnings:
        print(warning, file=sys.stderr)
    if command.quiet:
        return True
    if command.timings:
        print(f"{found.line}: {len(found.dependencies)} files, folders and tools were checked")
    print(f"{found.line}, checked in {seconds * 1000:.0f} ms")
    return True


def _write_stats(figures: str, path: str, seconds: float) -> bool:
    import json

    from nativecache.linker.output import overwrite

    check = {"wall": round(seconds, 6), "cpu": round(time.process_time(), 6)}
    now = {"wall_seconds": check["wall"], "phases": {"check": check}}
    try:
        text = json.dumps({**json.loads(figures), **now}, indent=2)
        overwrite(path, (text + "\n").encode())
    except (OSError, ValueError):
        return False
    return True


if __name__ == "__main__":
    command()
