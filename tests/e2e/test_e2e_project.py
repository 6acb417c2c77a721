"""Programs whose files have flags of their own do what clang's do, cold, warm and after edits."""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from harness import CLANG, build, clean_environment, edit, needs_clang, run
from rules import write

from nativecache.aot.build import build as build_request
from nativecache.aot.errors import BuildError, UsageError
from nativecache.aot.front.sources import Front
from nativecache.aot.report import Report
from nativecache.aot.request import EmitKind, Input, Request
from nativecache.cache.file_store import FileStore
from nativecache.cache.lookup import EntryStore
from nativecache.cli.database import read_database

pytestmark = needs_clang

TWICE = {
    "part.c": """\
#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)
static int counter;
__attribute__((noinline)) static int helper(int n) { counter += n; return counter * X; }
__attribute__((noinline)) int CAT(f, X)(int n) { return helper(n) + helper(n + 1) + __LINE__; }
""",
    "main.c": """\
#include <stdio.h>
int f1(int), f2(int);
int main(int n, char **v) { printf("%d %d\\n", f1(n), f2(n)); return 0; }
""",
}


# Files with flags of their own


def build_inputs(
    space: Path, inputs: Sequence[Input], image: str = "app", *, cache: str = "cache", emit: EmitKind = "exe"
) -> Report:
    request = Request(
        line=tuple(inputs),
        output=space / image,
        store=EntryStore(FileStore(space / cache)),
        emit=emit,
        clang=CLANG,
    )
    with Front(request) as front:
        return build_request(request, front)


def clang_links(space: Path, inputs: Sequence[Input]) -> bytes:
    """What the program says that clang makes of the same files with the same flags."""
    objects = []
    for n, path in enumerate(inputs):
        level = 2 if path.level is None else path.level
        objects.append(space / f"clangs{n}.o")
        subprocess.run([CLANG, f"-O{level}", *path.flags, "-c", path, "-o", objects[-1]], check=True)
    subprocess.run([CLANG, *objects, "-o", space / "clangs"], check=True)
    return run(space / "clangs").stdout


@pytest.mark.parametrize("debug", [(), ("-g",)])
def test_a_file_twice_with_other_flags(
    tmp_path: Path, debug: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, TWICE)
    monkeypatch.chdir(tmp_path)
    inputs = [
        Input.named("main.c", flags=debug),
        Input.named("part.c", flags=("-DX=1", *debug)),
        Input.named("part.c", flags=("-DX=2", *debug)),
    ]
    for n in range(2):
        if n:
            edit(tmp_path / "part.c", "helper(n + 1)", "\n\nhelper(n + 2)")
        build_inputs(tmp_path, inputs)
        image = (tmp_path / "app").read_bytes()
        assert run(tmp_path / "app").stdout == clang_links(tmp_path, inputs)
        warm = build_inputs(tmp_path, inputs)
        assert not warm.misses
        assert (tmp_path / "app").read_bytes() == image
        build_inputs(tmp_path, inputs, cache=f"cold{n}")
        assert (tmp_path / "app").read_bytes() == image


def test_files_of_one_content_share_no_answer_under_other_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"a.c": "int f(void) { return X; }\n", "b.c": "int f(void) { return X; }\n"})
    write(tmp_path, {"main.c": "int f(void);\nint main(void) { return f(); }\n"})
    monkeypatch.chdir(tmp_path)
    for name, value in (("a.c", 3), ("b.c", 4), ("a.c", 5), ("b.c", 3)):
        build_inputs(tmp_path, [Input.named("main.c"), Input.named(name, flags=(f"-DX={value}",))])
        assert run(tmp_path / "app").code == value


def test_what_ir_does_not_tell_of_one_file_is_left_to_clang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{name}.c" for name in ("level", "unroll", "sections", "mllvm", "same")]
    write(tmp_path, {name: f"int {name[:-2]}(int *p) {{ return p[1] * 3; }}\n" for name in names})
    write(tmp_path, {"main.c": "int main(void) { return 0; }\n"})
    monkeypatch.chdir(tmp_path)
    inputs = [
        Input.named("main.c"),
        Input.named("level.c", level=1),
        Input.named("unroll.c", flags=("-fno-unroll-loops",)),
        Input.named("sections.c", flags=("-ffunction-sections",)),
        Input.named("mllvm.c", flags=("-mllvm", "-enable-gvn-hoist")),
        Input.named("same.c", flags=("-mavx2", "-ffast-math", "-DX"), level=2),
    ]
    report = build_inputs(tmp_path, inputs)
    assert report.whole == ("level.c", "unroll.c", "sections.c", "mllvm.c")
    with pytest.raises(UsageError, match=r"unroll.c: its own flags have code generated in another way"):
        build_inputs(tmp_path, [inputs[0], inputs[2]], "app.bc", emit="bitcode")


def test_what_one_file_is_compiled_for_stays_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its features of the processor, and the errors that it makes of warnings."""
    vector = "float sum(float *p) { float s = 0; for (int i = 0; i < 64; i++) s += p[i]; return s; }\n"
    large = "int large(int n) { volatile char room[4000]; room[n] = 1; return room[0]; }\n"
    main = "float sum(float *);\nint large(int);\nfloat x[64];\nint main() { return sum(x) + large(1); }\n"
    write(tmp_path, {"sum.c": vector, "large.c": large, "main.c": main})
    monkeypatch.chdir(tmp_path)
    flags = ("-mavx2", "-ffast-math", "-Werror", "-Wframe-larger-than=100")
    report = build_inputs(
        tmp_path, [Input.named("main.c"), Input.named("sum.c", flags=flags), Input.named("large.c")]
    )
    assert not report.whole and not report.warnings
    code = subprocess.run(["objdump", "-d", "app"], capture_output=True, text=True, check=True).stdout
    assert "%ymm" in code.partition("<sum>:")[2].partition("\n\n")[0]
    assert "%ymm" not in code.partition("<main>:")[2].partition("\n\n")[0]


# Projects

PROJECT = """\
flags = ["-Iinclude"]
default-profile = "release"

[profile.dev]
flags = ["-O0", "-g", "-DSHIFT=1"]

[profile.release]
flags = ["-O2", "-DSHIFT=2"]

[target.app]
sources = ["src/*.c"]
exclude = ["src/not_*.c"]
depends = ["util", "dyn"]
libraries = ["m"]
output = "out/app"

[target.util]
kind = "archive"
sources = ["src/util/**/*.c"]
depends = ["base"]

[target.util.flags-for]
"src/util/v*.c" = ["-mavx2", "-DV=8"]

[target.base]
kind = "archive"
sources = ["base.c"]

[target.dyn]
kind = "shared"
sources = ["dyn.c"]
output = "out/lib/libdyn.so"
"""
FILES = {
    "include/all.h": "int vec(int), util(int), base(int), dyn(int);\n",
    "src/main.c": """\
#include <math.h>
#include <stdio.h>
#include "all.h"
int main(int n, char **v) {
  printf("%d %d %d %.2f\\n", util(n), vec(n), dyn(n), cos(n));
  return 0;
}
""",
    "src/not_me.c": "#error\n",
    "src/util/vec.c": '#include "all.h"\nint vec(int n) { return n * V; }\n',
    "src/util/deep/util.c": '#include "all.h"\nint util(int n) { return base(n) + 1; }\n',
    "base.c": '#include "all.h"\nint base(int n) { return (n + 100) << SHIFT; }\n',
    "dyn.c": '#include "all.h"\nint dyn(int n) { return n + 1000; }\n',
}
IMAGES = ("out/app", "out/lib/libdyn.so", "libutil.a", "libbase.a")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {**FILES, "nativecache.toml": PROJECT}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def clangs_project(space: Path, *flags: str) -> bytes:
    """What the program says that clang makes of all sources."""
    sources = ["src/main.c", "src/util/vec.c", "src/util/deep/util.c", "base.c", "dyn.c"]
    words = [CLANG, *flags, "-Iinclude", "-mavx2", "-DV=8", *sources, "-lm", "-o", "clangs"]
    subprocess.run(words, cwd=space, check=True)
    return run(space / "clangs").stdout


def images(space: Path) -> list[bytes]:
    return [(space / name).read_bytes() for name in IMAGES]


def test_a_project_cold_warm_and_edited(project: Path) -> None:
    build(project)
    assert run(project / "out/app").stdout == clangs_project(project, "-O2", "-DSHIFT=2")
    cold = images(project)
    again = build(project)
    assert again.stdout.count("up to date") == 4 and "checked in" in again.stdout.splitlines()[-1]
    assert list(again.stats["targets"]) == ["base", "util", "dyn", "app"]
    edit(project / "src/util/deep/util.c", "+ 1", "+ 2")
    said = build(project).stdout.splitlines()
    assert [line.partition(":")[0] for line in said if "up to date" in line] == ["libbase.a", "libdyn.so"]
    assert run(project / "out/app").stdout == clangs_project(project, "-O2", "-DSHIFT=2")
    edited = images(project)
    assert edited != cold
    build(project, env={"NATIVECACHE_DIR": str(project / "other")})
    assert images(project) == edited


def test_what_a_project_rests_on(project: Path) -> None:
    """A file that a glob finds newly, the project file, and a profile."""
    build(project)
    assert "up to date" in build(project).stdout
    (project / "src/more.c").write_text("int more = 3;\n")
    build(project)
    assert build(project).stdout.count("up to date") == 4
    (project / "src/util/deep/util.c").unlink()
    done = build(project, check=False)
    assert done.exit_code == 3 and "undefined" in done.stderr
    write(project, {"src/util/deep/util.c": FILES["src/util/deep/util.c"]})
    edit(project / "nativecache.toml", "SHIFT=2", "SHIFT=3")
    build(project)
    assert run(project / "out/app").stdout == clangs_project(project, "-O2", "-DSHIFT=3")
    build(project, "--profile", "dev")
    assert run(project / "out/app").stdout == clangs_project(project, "-O0", "-DSHIFT=1")


def test_one_target_and_what_it_links(project: Path) -> None:
    done = build(project, "--only", "util")
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["libbase.a", "libutil.a"]
    assert not (project / "out").exists()


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (("--only", "utl"), "--only utl: nativecache.toml has no such target: did you mean 'util'?", 2),
        (("--profile", "rel"), "--profile rel: nativecache.toml has no such profile: did you mean 'rel", 2),
        (("-o", "x"), "a project's targets have output in nativecache.toml; change it there", 2),
        (("--stats-json", "base.c"), "--stats-json base.c: is also base.c; name another file", 2),
        (("-c",), "-c: a project's targets have kind in nativecache.toml; change it there", 2),
    ],
)
def test_words_that_a_project_has_no_place_for(
    project: Path, words: tuple[str, ...], said: str, code: int
) -> None:
    done = build(project, *words, check=False)
    last = done.stderr.splitlines()[-1]
    assert done.exit_code == code and said in last and last.startswith("nativecache: error: ")


def test_a_project_file_that_is_wrong(project: Path) -> None:
    edit(project / "nativecache.toml", "libraries", "libarries")
    done = build(project, check=False)
    assert done.exit_code == 1 and done.stderr.count("\n") == 1
    assert "nativecache.toml:14: unknown name 'libarries': did you mean 'libraries'?" in done.stderr


# Compilation databases

MADE = {
    "src/main.c": """\
#include <stdio.h>
#include "part.h"
int f1(int), f2(int), other(int);
int main(int n, char **v) {
  printf("%s %d %d %d\\n", __FILE__, f1(n), f2(n), other(n));
  return 0;
}
""",
    "src/part.c": """\
#include "part.h"
#if __has_include("conf.h")
#include "conf.h"
#else
#define CONF 1
#endif
#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)
const char *CAT(name, X)(void) { return __FILE__; }
int CAT(f, X)(int n) { return n * X + PART + CONF; }
""",
    "inc/part.h": "#define PART 100\n",
    "lib/other.c": '#include "inner.h"\nint other(int n) { return n + INNER; }\n',
    "lib/inner.h": "#define INNER 5\n",
}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Sources with a database, in which they are compiled in two folders."""
    for name, text in MADE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "build").mkdir()
    common = ["-O2", "-g", "-I../inc", "-MD", "-MF", "x.d", "-c"]
    here, lib = str(tmp_path / "build"), str(tmp_path / "lib")
    part = f"/usr/bin/{CLANG} -DX=1 {' '.join(common)} '../src/part.c' -o part1.o"
    listed: list[tuple[str, str, str, str | list[str]]] = [
        (here, "../src/main.c", "main.o", ["ccache", CLANG, *common, "-o", "main.o", "../src/main.c"]),
        (here, "../src/part.c", "part1.o", part),
        (here, "../src/part.c", "part2.o", ["nativecache", *part.replace("1", "2").replace("'", "").split()]),
        (lib, "other.c", "other.o", ["gcc", "-O1", "-I.", "-c", "other.c", "-o", "other.o", "-lm", "-Wl,-x"]),
    ]
    entries = [
        {"directory": folder, "file": file, "output": output}
        | ({"command": words} if isinstance(words, str) else {"arguments": words})
        for folder, file, output, words in listed
    ]
    (tmp_path / "build/compile_commands.json").write_text(json.dumps([*entries, entries[0]]))
    return tmp_path


def clangs_made(space: Path) -> bytes:
    """What the program says that the database's own commands make."""
    objects = []
    for entry in json.loads((space / "build/compile_commands.json").read_text())[:4]:
        words = shlex.split(entry["command"]) if "command" in entry else entry["arguments"]
        while Path(words[0]).name in ("ccache", "nativecache"):
            words = words[1:]
        subprocess.run([CLANG, *words[1:]], cwd=entry["directory"], check=True)
        objects.append(Path(entry["directory"], entry["output"]))
    subprocess.run([CLANG, *objects, "-o", "clangs"], cwd=space, check=True)
    return run(space / "clangs").stdout


def test_a_database_cold_warm_and_edited(made: Path) -> None:
    expected = clangs_made(made)
    assert expected.startswith(b"../src/main.c ")
    first = build(made, "-p", "build", "-o", "app")
    assert run(made / "app").stdout == expected
    assert first.stats["whole"] == [str(made / "lib/other.c")] and first.stats["sources"] == 4
    cold = (made / "app").read_bytes()
    assert "up to date" in build(made, "-p", "build", "-o", "app").stdout
    lines = subprocess.run(["objdump", "-dl", "app"], cwd=made, capture_output=True, text=True, check=True)
    assert f"{made}/build/../src/part.c:" in lines.stdout
    time.sleep(0.05)  # else the sources may have been written when the build began
    build(made, "-p", "build", "-o", "app", "-v")
    done = build(made, "-p", "build", "-o", "app", "-v")
    assert "front end: 4 of 4 files unchanged" in done.stdout
    for name, text in (
        ("lib/inner.h", "#define INNER 6\n"),  # found from another folder
        ("src/conf.h", "#define CONF 9\n"),  # newly
        ("inc/part.h", "#define PART 200\n"),
    ):
        (made / name).write_text(text)
        assert clangs_made(made) != expected
        expected = clangs_made(made)
        build(made, "-p", "build/compile_commands.json", "-o", "app")
        assert run(made / "app").stdout == expected
    build(made, "-p", "build", "-o", "again", env={"NATIVECACHE_DIR": str(made / "other")})
    assert (made / "again").read_bytes() == (made / "app").read_bytes() != cold


def test_entries_are_chosen_by_file_or_output(made: Path) -> None:
    for n, word in enumerate(("lib/other.c", "other.o", "lib/*.c", str(made / "lib/other.o"))):
        done = build(made, "-p", "build", word, "--emit", "object", "-o", f"{n}.o")
        assert done.stats["sources"] == 1
    build(made, "-p", "build", "part1.o", "build/part2.o", "--emit", "archive", "-o", "parts.a")
    build(made, "-p", "build", "src/main.c", "parts.a", "0.o", "-o", "app")
    assert run(made / "app").stdout == clangs_made(made)
    done = build(made, "-p", "build", "missing.c", check=False)
    assert done.exit_code == 2 and "'missing.c': build/compile_commands.json has no entry" in done.stderr


def test_a_level_on_the_command_line_is_for_all_entries(made: Path) -> None:
    assert not build(made, "-p", "build", "-O1", "-o", "app").stats["whole"]
    assert run(made / "app").stdout == clangs_made(made)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"file": "a.c", "arguments": ["nvcc", "-c", "a.c"]}, "'nvcc' is no C or C++ compiler"),
        ({"file": "a.c", "arguments": ["cc", "-E", "a.c"]}, "'-E' is not taken"),
        ({"file": "a.c", "arguments": ["cc", "@x", "a.c"]}, "files full of flags (@FILE) are not read here"),
        ({"file": "a.c", "arguments": ["cc", "--clang", "x", "a.c"]}, "'--clang' is no option of clang's"),
        ({"file": "a.c", "arguments": ["cc", "a.c", "b.c"]}, "it compiles 2 files; one is wanted"),
        ({"file": "a.c", "command": "cc 'a.c"}, "No closing quotation"),
        ({"file": "a.c", "arguments": "cc a.c"}, "'arguments' is to be a list of texts"),
        ({"arguments": ["cc", "a.c"]}, "it names no file"),
        (3, "an object is wanted"),
    ],
)
def test_an_entry_that_is_not_understood_is_named(tmp_path: Path, entry: object, said: str) -> None:
    path = tmp_path / "compile_commands.json"
    path.write_text(json.dumps([entry]))
    with pytest.raises(BuildError) as raised:
        read_database(str(path))
    (line,) = raised.value.problems
    assert line.startswith(f"{path}: entry 1 (") and said in line


# nativecache init


def init(space: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nativecache.cli.start", "init", *words]
    return subprocess.run(command, cwd=space, env=clean_environment(), capture_output=True, text=True)


def test_a_project_file_from_the_sources_of_a_folder(tmp_path: Path) -> None:
    files = {"src/main.c": '#include "n.h"\nint main(void) { return N; }\n', "include/n.h": "#define N 7\n"}
    for name, text in {**files, "build/left.c": "#error\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    done = init(tmp_path)
    assert done.returncode == 0 and "with 1 sources" in done.stdout, done.stderr
    build(tmp_path)
    assert run(tmp_path / "build" / tmp_path.name).code == 7
    before = (tmp_path / "nativecache.toml").read_text()
    again = init(tmp_path)
    assert again.returncode == 1 and "is there already" in again.stderr and again.stderr.count("\n") == 1
    assert (tmp_path / "nativecache.toml").read_text() == before


def test_a_project_file_from_a_database(made: Path) -> None:
    refused = init(made, "-p", "build")
    assert refused.returncode == 1 and "src/part.c: it is there again with other flags" in refused.stderr
    assert refused.stderr.count("\n") == 1 and not (made / "nativecache.toml").exists()
    path = made / "build/compile_commands.json"
    entries = json.loads(path.read_text())
    path.write_text(json.dumps([entry for entry in entries if entry["output"] != "part2.o"]))
    (made / "lib/more.c").write_text("int f2(int n) { return n; }\n")
    assert init(made, "-p", "build").returncode == 0
    text = (made / "nativecache.toml").read_text()
    assert '"src/part.c" = ["-DX=1", "-g", "-Iinc"]' in text and '"lib/other.c" = ["-Ilib"]' in text
    edit(made / "nativecache.toml", '"lib/other.c"]', '"lib/other.c", "lib/more.c"]')
    build(made)
    assert run(made / "build" / made.name).stdout.startswith(b"src/main.c ")
