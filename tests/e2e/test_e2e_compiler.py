"""As a compiler the command does what the real one does: the same object, depfile, messages and exit code."""

import os
import pty
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from harness import CLANG, clean_environment, needs_clang
from rules import write

from nativecache.cache.statistics import read_statistics, zero_statistics
from nativecache.cli.cc_figures import compiler_figures

pytestmark = needs_clang

SOURCES = {
    "inc/a.h": "#ifndef A_H\n#define A_H\n#include <stddef.h>\nint twice(int);\n#define A 3\n#endif\n",
    "inc/b.h": '#include "a.h"\nstatic inline int b(int n) { return twice(n) + A; }\n',
    "a.c": '#include "inc/b.h"\n#include <stdio.h>\n'
    "int twice(int n) { return 2 * n; }\nint main(void) { int unused; "
    'printf("%d %s\\n", b(4), __FILE__); }\n',
    "plain.c": "int plain(void) { return 1; }\n",
    "asked.c": '#if __has_include("later.h")\n#include "later.h"\n#endif\n'
    "#ifndef L\n#define L 1\n#endif\nint l = L;\n",
    "dated.c": "const char *now = __DATE__ __TIME__;\n",
    "bad.c": "int f(void) { return missing; }\n",
    "lost.c": '#include "lost.h"\n',
    "c.cpp": "#include <vector>\ntemplate <class T> T f(T t) { return t + 1; }\n"
    "int g(std::vector<int> &v) { v.push_back(f(3)); return v.size(); }\n",
    "s.S": '#include "inc/s.h"\n.globl s\ns: .long VALUE\n',
    "inc/s.h": "#define VALUE 7\n",
}


class Outcome(NamedTuple):
    code: int
    stdout: bytes
    stderr: bytes
    files: dict[str, bytes]


class Space:
    """Folders with the same sources, for the real compiler and for ours, under one path in turn."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "work"
        write(self.work, SOURCES)
        self.environ = clean_environment() | {"NATIVECACHE_DIR": str(root / "cache")}
        # Changed long ago, as far as the cache can tell.
        self.settle()

    def settle(self) -> None:
        time.sleep(0.05)

    def files(self) -> dict[str, bytes]:
        found = (path for path in self.work.rglob("*") if path.is_file())
        return {str(path.relative_to(self.work)): path.read_bytes() for path in found}

    def run(self, command: Sequence[str], env: dict[str, str] | None = None) -> Outcome:
        """What a command does; what it wrote is removed again."""
        before = self.files()
        done = subprocess.run(
            command, cwd=self.work, env=self.environ | (env or {}), capture_output=True, timeout=120
        )
        after = self.files()
        written = {name: data for name, data in after.items() if before.get(name) != data}
        for name in after.keys() - before.keys():
            (self.work / name).unlink()
        for name, data in before.items():
            if after.get(name) != data:
                (self.work / name).write_bytes(data)
        return Outcome(done.returncode, done.stdout, done.stderr, written)

    def ours(self, *words: str, compiler: str = CLANG, env: dict[str, str] | None = None) -> Outcome:
        return self.run([sys.executable, "-m", "nativecache.cli.start", compiler, *words], env)

    def theirs(self, *words: str, compiler: str = CLANG, env: dict[str, str] | None = None) -> Outcome:
        return self.run([compiler, *words], env)

    def figures(self) -> dict[str, int]:
        """What was counted since the last time."""
        folder = self.root / "cache"
        found = compiler_figures(read_statistics(folder).total)
        zero_statistics(folder)
        flat = {name: n for name, n in found.items() if name not in ("passed", "calls")} | found["passed"]
        assert sum(flat.values()) == found["calls"]
        return {name: n for name, n in flat.items() if n}

    def assert_same(self, *words: str, compiler: str = CLANG, env: dict[str, str] | None = None) -> None:
        """Missed and found, it is what the real compiler does."""
        expected = self.theirs(*words, compiler=compiler, env=env)
        for expect in ("misses", "hits"):
            assert self.ours(*words, compiler=compiler, env=env) == expected
            assert self.figures() == {expect: 1}


@pytest.fixture
def space(tmp_path: Path) -> Space:
    return Space(tmp_path)


@pytest.mark.family(2)
@pytest.mark.parametrize(
    "words",
    [
        "-c a.c",
        "-c a.c -o a.o",
        "-c a.c -o inc/other.obj",
        "-Wall -Wextra -c a.c -O2 -o a.o",
        "-w -c a.c -O2 -o a.o",
        "-Wall -fcolor-diagnostics -c a.c",
        "-Wall -fdiagnostics-color=always -c a.c",
        "-c a.c -lm -Wl,-O1 -L.",
        "-g -O2 -c -o x.o a.c",
        "-g3 -gdwarf-4 -fdebug-prefix-map=/=/here -c a.c",
        "-ffile-prefix-map=inc=x -c a.c",
        "-pipe -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections -c a.c",
        "-MD -c a.c",
        "-MMD -c a.c",
        "-MD -c a.c -o inc/x.o",
        "-MMD -MP -c a.c -o inc/x.o",
        "-MD -MP -MF inc/x.dep -c a.c -o x.o",
        "-MD -MT x.o -MF x.d -c a.c -o x.o",
        "-MD -MT x.o -MTy.o -MQ z.o -MF x.d -c a.c -o x.o",
        "-MD -MT long/long/long/long/long/long/long/name.o -MT another/long/long/long/long/name.o -c a.c",
        "-MD -MQ a$b -MT x_y -MF x.d -c a.c -o x.o",
        "-MMD -MT x.o -MFx.d -c a.c -o x.o",
        "-Wp,-MD,x.d -c a.c -o x.o",
        "-Wp,-MMD,x.d -c a.c -o x.o",
        "-DN=2 -D M -UN -include inc/a.h -I inc -Iinc -isystem inc -c a.c",
        "-std=c99 -pedantic -c a.c -O1",
        "-Wa,--noexecstack -Wp,-D_FORTIFY_SOURCE=2 -O2 -c a.c",
        "-flto -O2 -c a.c",
        "-c ./a.c",
        "-c inc/../a.c -o ./a.o",
        "-c asked.c",
        "-MD -c s.S",
        "-c s.S -o s.o -g",
        "-m32 -c plain.c",
        "--target=aarch64-linux-gnu -c plain.c",
        "-ferror-limit=3 -Werror=return-type -c a.c",
        "-MD -o file.o -c plain.c",
    ],
)
def test_what_is_kept(space: Space, words: str) -> None:
    space.assert_same(*(word.replace("_", " ") if word == "x_y" else word for word in words.split(" ")))


@pytest.mark.parametrize("words", ["-c c.cpp -O1 -MD", "-c c.cpp -g -MMD -MP -MF x.d", "-c plain.c"])
def test_cplusplus(space: Space, words: str) -> None:
    space.assert_same(*words.split(), compiler="clang++-22")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("-E a.c", "preprocessing"),
        ("-M a.c", "preprocessing"),
        ("-MM -c a.c", "preprocessing"),
        ("-S a.c", "another_output"),
        ("-fsyntax-only -c a.c", "another_output"),
        ("--version", "another_output"),
        ("-### -c a.c", "another_output"),
        ("-c a.c plain.c", "several_sources"),
        ("a.c -o app", "link"),
        ("-c -x c a.c", "language"),
        ("-c a.txt", "language"),
        ("-c none.c", "no_source"),
        ("-c", "no_source"),
        ("-c a.c -save-temps", "more_outputs"),
        ("-c a.c -g -gsplit-dwarf", "more_outputs"),
        ("-c a.c -fstack-usage", "more_outputs"),
        ("-c a.c --coverage", "unknown_flag"),
        ("-c a.c -fsanitize=address", "instrumented"),
        ("-c a.c -fprofile-generate", "instrumented"),
        ("-c a.c -fmodules", "modules"),
        ("-c a.c -march=native", "native_cpu"),
        ("-c a.c -Xclang -disable-llvm-passes", "inner_option"),
        ("-c a.c -fno-such-flag-at-all=1 --strange", "unknown_flag"),
        ("-c a.c -o /dev/null", "special_output"),
        ("-c a.c -o nodir/a.o", "special_output"),
        ("-c a.c -MD -MF -", "special_output"),
        ("-c a.c -frecord-command-line", "unknown_flag"),
        ("@none.rsp -c a.c", "response_file"),
    ],
)
def test_what_passes_through(space: Space, words: str, reason: str) -> None:
    (space.work / "a.txt").write_text("int x;\n")

    def told(outcome: Outcome) -> Outcome:  # temporary names
        return outcome._replace(stderr=re.sub(rb"/tmp/\S+", b"", outcome.stderr))

    assert told(space.ours(*words.split())) == told(space.theirs(*words.split()))
    assert space.figures() == {reason: 1}


def test_standard_input(space: Space) -> None:
    for compiler in ([CLANG], [sys.executable, "-m", "nativecache.cli.start", CLANG]):
        done = subprocess.run(
            [*compiler, "-c", "-x", "c", "-", "-o", "in.o"],
            cwd=space.work,
            env=space.environ,
            input=b"int f(void) { return 4; }\n",
            capture_output=True,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert (space.work / "in.o").read_bytes()[:4] == b"\x7fELF"


@pytest.mark.parametrize("name", ["/dev/stdin", "link.h"])
def test_a_source_that_includes_standard_input(space: Space, name: str) -> None:
    """A pipe can be read once, though a source with the time of day is compiled twice."""
    write(space.work, {"x.c": f'#include "{name}"\nint x;\n'})
    (space.work / "link.h").symlink_to("/dev/stdin")
    for said in (b"int a;\n", b"int b = sizeof __TIME__;\n", b"int c\n"):
        found = []
        for compiler in ([CLANG], [sys.executable, "-m", "nativecache.cli.start", CLANG]):
            done = subprocess.run(
                [*compiler, "-c", "x.c"], cwd=space.work, env=space.environ, input=said, capture_output=True
            )
            made = space.work / "x.o"
            found.append((done.returncode, done.stderr, made.read_bytes() if made.exists() else b""))
            made.unlink(missing_ok=True)
        assert found[0] == found[1]


def test_response_files(space: Space) -> None:
    (space.work / "args.rsp").write_text("-O2 '-DX=\"a b\"' -MD\n-c a.c @more.rsp")
    (space.work / "more.rsp").write_text("-Wall")
    space.assert_same("@args.rsp", "-o", "a.o")
    (space.work / "more.rsp").write_text("-Wall -DA2")
    assert space.ours("@args.rsp", "-o", "a.o") == space.theirs("@args.rsp", "-o", "a.o")
    assert space.figures() == {"misses": 1}


def test_an_output_elsewhere_is_a_hit(space: Space) -> None:
    space.ours("-O2", "-g", "-c", "a.c", "-o", "one.o")
    assert space.ours("-O2", "-g", "-c", "a.c", "-o", "inc/two.o") == space.theirs(
        "-O2", "-g", "-c", "a.c", "-o", "inc/two.o"
    )
    assert space.figures() == {"misses": 1, "hits": 1}
    for output in ("one.o", "inc/two.o"):  # in whose depfiles it shows
        words = ("-MD", "-O2", "-g", "-c", "a.c", "-o", output)
        assert space.ours(*words) == space.theirs(*words)
    assert space.figures() == {"misses": 2}


def test_failures(space: Space) -> None:
    (space.work / "bad.o").write_bytes(b"old")
    (space.work / "bad.d").write_bytes(b"old")
    (space.work / "lost.o").write_bytes(b"old")
    (space.work / "lost.d").write_bytes(b"old")
    for words in ("-c bad.c", "-MD -c bad.c", "-Werror -Wall -c a.c -MD", "-MD -c lost.c", "-c lost.c"):
        expected = space.theirs(*words.split())
        assert expected.code == 1
        for _ in range(2):
            assert space.ours(*words.split()) == expected, words
    assert space.figures() == {"failed": 10}


def test_a_failure_removes_what_clang_removes(space: Space) -> None:
    """An object from before must not be taken for this one's."""
    states = []
    for ours in (False, True):
        for name in ("bad.o", "bad.d", "lost.o", "lost.d"):
            (space.work / name).write_bytes(b"old")
        command = [sys.executable, "-m", "nativecache.cli.start"] if ours else []
        for source in ("bad.c", "lost.c"):
            subprocess.run(
                [*command, CLANG, "-MD", "-c", source], cwd=space.work, env=space.environ, capture_output=True
            )
        states.append({name: data for name, data in space.files().items() if name[:3] in ("bad", "los")})
    assert states[0] == states[1]


EDITS: dict[str, tuple[str, Callable[[str], str]]] = {
    "the source": ("a.c", lambda text: text.replace("2 * n", "3 * n")),
    "a header": ("inc/a.h", lambda text: text.replace("A 3", "A 4")),
    "a header's header": ("inc/b.h", lambda text: text + "int more = 1;\n"),
}


@pytest.mark.parametrize("name", EDITS)
def test_edits_are_seen(space: Space, name: str) -> None:
    path, edit = EDITS[name]
    words = ("-O2", "-MD", "-c", "a.c")
    first = space.ours(*words)
    text = (space.work / path).read_text()
    (space.work / path).write_text(edit(text))
    space.settle()
    second = space.theirs(*words)
    assert second != first and space.ours(*words) == second
    (space.work / path).write_text(text)
    space.settle()
    assert space.ours(*words) == first
    assert space.figures() == {"misses": 2, "hits": 1}


def test_an_edit_that_keeps_size_and_time(space: Space) -> None:
    words = ("-O2", "-c", "a.c")
    first = space.ours(*words)
    path = space.work / "inc/a.h"
    os.utime(path, (1e9, 1e9))
    assert space.ours(*words) == first
    time.sleep(2.1)  # from now on its status is believed
    for _ in range(2):
        assert space.ours(*words) == first
    status = path.stat()
    path.write_text(path.read_text().replace("A 3", "A 5"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    space.settle()
    assert space.ours(*words) == space.theirs(*words) != first


def test_a_header_that_appears(space: Space) -> None:
    words = ("-c", "asked.c", "-MD")
    space.assert_same(*words)
    write(space.work, {"later.h": "#define L 2\n"})
    space.settle()
    space.assert_same(*words)


def test_a_header_that_is_found_first(space: Space) -> None:
    write(
        space.work, {"first/.keep": "", "second/x.h": "#define X 1\n", "x.c": "#include <x.h>\nint x = X;\n"}
    )
    words = ("-c", "x.c", "-Ifirst", "-Isecond")
    space.settle()
    space.assert_same(*words)
    write(space.work, {"first/x.h": "#define X 2\n"})
    space.settle()
    space.assert_same(*words)


@pytest.mark.parametrize(
    "env", [{"CPATH": "inc"}, {"C_INCLUDE_PATH": "inc"}, {"SOURCE_DATE_EPOCH": "1"}, {"LC_ALL": "C"}]
)
def test_environments(space: Space, env: dict[str, str]) -> None:
    words = ("-c", "a.c", "-g", "-MD")
    space.ours(*words)
    assert space.ours(*words, env=env) == space.theirs(*words, env=env)
    assert space.ours(*words, env=env) == space.theirs(*words, env=env)


def test_an_include_path_of_the_environment(space: Space) -> None:
    write(space.work, {"x.c": "#include <a.h>\nint x = A;\n", "other/a.h": "#define A 9\n"})
    space.settle()
    for folder in ("inc", "other", "inc"):
        env = {"CPATH": folder}
        assert space.ours("-c", "x.c", env=env) == space.theirs("-c", "x.c", env=env)
    assert space.figures() == {"misses": 2, "hits": 1}


def test_who_bitcode_says_it_was_made_by(space: Space) -> None:
    words = ("-flto", "-c", "plain.c")
    for env in ({}, {"LLVM_OVERRIDE_PRODUCER": "another"}, {}):
        assert space.ours(*words, env=env) == space.theirs(*words, env=env)
    assert space.figures() == {"misses": 2, "hits": 1}


@pytest.mark.parametrize("flags", ["-DN", "-fdebug-prefix-map=/tmp=/x"])
def test_an_object_that_names_the_output(space: Space, flags: str) -> None:
    """CodeView has the output's path, which in our folder is another, and nothing on the line tells."""
    target = "--target=x86_64-pc-windows-msvc"
    for output in ("one.obj", "inc/two.obj", "one.obj"):
        words = ("-g", target, "-mno-incremental-linker-compatible", flags, "-c", "plain.c", "-o", output)
        assert space.ours(*words) == space.theirs(*words)


def test_an_object_with_the_time_is_not_kept(space: Space) -> None:
    """COFF for Microsoft's linker says when it was made, which tells it what to link again."""
    for _ in range(2):
        space.ours("--target=x86_64-pc-windows-msvc", "-c", "plain.c")
    assert space.figures() == {"not_kept": 2}
    space.assert_same("--target=x86_64-w64-mingw32", "-c", "plain.c")


def test_a_depfile_keeps_its_mode_and_its_names(space: Space) -> None:
    """Clang writes over the one that is there."""
    depfile = space.work / "plain.d"
    command = [sys.executable, "-m", "nativecache.cli.start", CLANG, "-MD", "-c", "plain.c"]
    for words in (command[3:], command, command):
        depfile.unlink(missing_ok=True)
        depfile.write_bytes(b"old and longer than what takes its place")
        depfile.chmod(0o600)
        (space.work / "other.d").unlink(missing_ok=True)
        (space.work / "other.d").hardlink_to(depfile)
        subprocess.run(words, cwd=space.work, env=space.environ, check=True)
        assert (space.work / "other.d").read_bytes() == b"plain.o: plain.c\n"
        assert depfile.stat().st_mode & 0o777 == 0o600 and depfile.stat().st_nlink == 2
    assert space.figures() == {"misses": 1, "hits": 1}


def test_a_limit_on_files_does_not_change_the_exit_code(space: Space) -> None:
    """What is counted after the messages is no reason to die of."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    command = [sys.executable, "-m", "nativecache.cli.start", CLANG, "-c", "bad.c"]
    found = [
        subprocess.run(words, cwd=space.work, env=space.environ, capture_output=True, preexec_fn=limit)
        for words in (command[3:], command)
    ]
    assert [done.returncode for done in found] == [1, 1] and found[0].stderr == found[1].stderr


def test_files_written_elsewhere_by_the_environment(space: Space) -> None:
    env = {"DEPENDENCIES_OUTPUT": "deps"}
    assert space.ours("-c", "a.c", env=env) == space.theirs("-c", "a.c", env=env)
    assert space.figures() == {"environment": 1}


def test_the_time_of_day(space: Space) -> None:
    for _ in range(2):
        assert space.ours("-c", "dated.c", "-o", "d.o").code == 0
    assert space.figures() == {"not_kept": 2}
    for _ in range(2):
        assert b"__TIME__" not in space.ours("-w", "-c", "dated.c", "-o", "d.o").stderr
    assert space.figures() == {"not_kept": 2}
    expected = space.theirs("-Wdate-time", "-c", "dated.c")
    assert space.ours("-Wdate-time", "-c", "dated.c").stderr == expected.stderr


def test_another_folder_shows_in_debug_information(space: Space) -> None:
    words = ("-g", "-c", "a.c", "-o", "a.o")
    space.assert_same(*words)
    space.work.rename(space.root / "moved")
    space.work = space.root / "moved"
    assert space.ours(*words) == space.theirs(*words)


def seen_in_terminal(space: Space, *command: str) -> bytes:
    ours, theirs = pty.openpty()
    child = subprocess.Popen(command, cwd=space.work, env=space.environ | {"TERM": "xterm"}, stderr=theirs)
    os.close(theirs)
    found = b""
    try:
        while piece := os.read(ours, 4096):
            found += piece
    except OSError:
        pass
    os.close(ours)
    assert child.wait() == 0
    return found


def test_a_terminal_has_colours(space: Space) -> None:
    words = (CLANG, "-Wall", "-c", "a.c")
    expected = seen_in_terminal(space, *words)
    assert b"\x1b[" in expected
    for _ in range(2):
        assert seen_in_terminal(space, sys.executable, "-m", "nativecache.cli.start", *words) == expected
    assert space.figures() == {"misses": 1, "hits": 1}
    assert b"\x1b[" not in space.ours(*words[1:]).stderr


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
@pytest.mark.parametrize("words", ["-c a.c -Wall", "-c bad.c", "--version", "a.c -o app", "-v -c plain.c"])
def test_gcc_passes_through(space: Space, words: str) -> None:
    def told(outcome: Outcome) -> Outcome:
        return outcome._replace(stderr=re.sub(rb"/tmp/\w+", b"", outcome.stderr))

    for env in ({}, {"LC_ALL": "", "LANG": "", "LC_CTYPE": ""}, {"LC_ALL": "C.UTF-8"}):
        ours = space.ours(*words.split(), compiler="gcc", env=env)
        assert told(ours) == told(space.theirs(*words.split(), compiler="gcc", env=env))
    assert space.figures() == {"not_clang": 3}


LAUNCHER = Path(sys.executable).with_name("nativecache")
needs_launcher = pytest.mark.skipif(not LAUNCHER.exists(), reason="the command is not installed")


@needs_launcher
def test_links_named_as_compilers(space: Space) -> None:
    links = space.root / "links"
    links.mkdir()
    for name in (CLANG, "clang++-22", "gcc", "cc"):
        (links / name).symlink_to(LAUNCHER)
    env = {"PATH": f"{links}:{os.environ['PATH']}"}
    for words in ((CLANG, "-c", "a.c", "-Wall"), ("clang++-22", "-c", "c.cpp")):
        assert space.run(words, env) == space.run(words, env) == space.run(words)
    assert space.figures() == {"misses": 2, "hits": 2}
    assert space.run((CLANG, "--version"), env).stdout == space.run((CLANG, "--version")).stdout
    assert space.run((str(links / CLANG), "-c", "a.c"), env) == space.run((CLANG, "-c", "a.c"))
    if shutil.which("cc"):
        assert space.run(("cc", "-c", "a.c"), env) == space.run(("cc", "-c", "a.c"))
    # Ours before ours, and by its own name.
    both = space.run((str(LAUNCHER), CLANG, "-c", "a.c", "-Wall"), env)
    assert both == space.run((CLANG, "-c", "a.c", "-Wall"))


@needs_launcher
def test_a_launcher_before_a_path(space: Space) -> None:
    path = shutil.which(CLANG)
    assert path
    for _ in range(2):
        assert space.run((str(LAUNCHER), path, "-c", "a.c")) == space.run((path, "-c", "a.c"))
    assert space.figures() == {"misses": 1, "hits": 1}
    done = space.run((str(LAUNCHER), "/no/such/clang", "-c", "a.c"))
    assert done.code == 127 and b"nativecache: error: /no/such/clang" in done.stderr


def test_off(space: Space) -> None:
    for _ in range(2):
        off = space.ours("-c", "a.c", env={"NATIVECACHE_DISABLE": "1"})
        assert off == space.theirs("-c", "a.c")
    assert not (space.root / "cache").exists()


def test_a_cache_that_cannot_be_used(space: Space) -> None:
    (space.root / "file").write_text("")
    for folder in (space.root / "file", space.root / "file" / "below"):
        env = {"NATIVECACHE_DIR": str(folder)}
        assert space.ours("-c", "a.c", env=env) == space.theirs("-c", "a.c")
    shared = space.root / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    assert space.ours("-c", "a.c", env={"NATIVECACHE_DIR": str(shared)}) == space.theirs("-c", "a.c")


def test_read_only(space: Space) -> None:
    env = {"NATIVECACHE_CACHE_MODE": "read-only"}
    for _ in range(2):
        assert space.ours("-c", "a.c", env=env) == space.theirs("-c", "a.c")
    assert space.figures() == {"misses": 2}


def test_damage_is_a_miss(space: Space) -> None:
    words = ("-c", "a.c", "-MD")
    expected = space.theirs(*words)
    space.ours(*words)
    entries = [path for path in (space.root / "cache").rglob("*.o") if path.is_file()]
    assert len(entries) > 3
    for path in entries:
        data = path.read_bytes()
        for damaged in (data[: len(data) // 2], data[:20] + bytes([data[20] ^ 1]) + data[21:], b""):
            path.write_bytes(damaged)
            assert space.ours(*words) == expected
        path.write_bytes(data)


def test_many_at_once(space: Space) -> None:
    """What several write to one name at the same time is not taken for one another's."""
    command = [sys.executable, "-m", "nativecache.cli.start", CLANG, "-c", "-O1"]
    write(space.work, {"many.c": "int n = N;\n"})
    space.settle()
    jobs = [
        subprocess.Popen(
            [*command, f"-DN={n % 2}", "many.c", "-o", "same.o"], cwd=space.work, env=space.environ
        )
        for n in range(8)
    ]
    assert [job.wait() for job in jobs] == [0] * 8
    for n in (0, 1):
        words = ("-O1", f"-DN={n}", "-c", "many.c", "-o", "one.o")
        assert space.ours(*words) == space.theirs(*words)


def test_a_killed_compile_leaves_nothing(space: Space) -> None:
    write(
        space.work,
        {
            "slow.c": "#include <stdio.h>\n"
            + "".join(f"int f{n}(int a) {{ return a * {n}; }}\n" for n in range(20000))
        },
    )
    space.settle()
    before = set(space.files())
    job = subprocess.Popen(
        [sys.executable, "-m", "nativecache.cli.start", CLANG, "-O2", "-c", "slow.c"],
        cwd=space.work,
        env=space.environ | {"TMPDIR": str(space.root)},
    )
    time.sleep(1)
    job.terminate()
    assert job.wait(30) == -15
    assert set(space.files()) == before
    assert not list(space.root.glob("nativecache-*"))


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@needs_launcher
def test_make(space: Space) -> None:
    write(
        space.work,
        {
            "Makefile": "CFLAGS = -O2 -MMD -MP -Wall\napp: a.o plain.o\n\t$(CC) -o $@ $^\n"
            "-include a.d plain.d\nclean:\n\trm -f *.o *.d app\n"
        },
    )

    def make(*words: str) -> dict[str, bytes]:
        for target in ("clean", "app"):
            done = subprocess.run(
                ["make", "-j2", *words, target], cwd=space.work, env=space.environ, capture_output=True
            )
            assert done.returncode == 0, done.stderr
        assert not {"jobserver", "warning: jobserver"} & set(done.stderr.decode().split())
        return space.files()

    expected = make(f"CC={CLANG}")
    assert make(f"CC={LAUNCHER} {CLANG}") == expected == make(f"CC={LAUNCHER} {CLANG}")
    assert space.figures() == {"misses": 2, "hits": 2, "link": 2}


@pytest.mark.skipif(not (shutil.which("cmake") and shutil.which("ninja")), reason="needs cmake and ninja")
@needs_launcher
def test_cmake(space: Space) -> None:
    write(
        space.work,
        {
            "CMakeLists.txt": "cmake_minimum_required(VERSION 3.16)\nproject(p C CXX)\n"
            "add_executable(app a.c plain.c c.cpp)\n"
        },
    )
    words = [
        "cmake",
        "-G",
        "Ninja",
        "-S",
        ".",
        f"-DCMAKE_C_COMPILER={CLANG}",
        "-DCMAKE_CXX_COMPILER=clang++-22",
    ]
    launchers = [f"-DCMAKE_{language}_COMPILER_LAUNCHER={LAUNCHER}" for language in ("C", "CXX")]
    built = []
    for more in ([], launchers, launchers):
        for command in ([*words, *more, "-B", "b"], ["ninja", "-C", "b"]):
            subprocess.run(command, cwd=space.work, env=space.environ, check=True, capture_output=True)
        built.append((space.work / "b/app").read_bytes())
        shutil.rmtree(space.work / "b")
    assert built[0] == built[1] == built[2]
    assert space.figures()["hits"] >= 3
