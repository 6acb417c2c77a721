"""Options and their environment variables, and what the command says about a build."""

import gc
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from harness import build, clean_environment, needs_clang, run
from rules import write

import nativecache.aot.build
from nativecache.aot.errors import BuildError
from nativecache.aot.front.sources import Front
from nativecache.aot.report import CompiledUnit, Phase, Report
from nativecache.aot.request import EMIT_KINDS, Request
from nativecache.cli.main import main
from nativecache.cli.report import summary
from nativecache.cli.requests import default_output

COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d|10\d)(?:;\d+)*m")


class _Asked(BuildError):
    """Ends a command once its request is known."""

    def __init__(self, request: Request) -> None:
        super().__init__("asked")
        self.request = request


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("NATIVECACHE_")]:
        monkeypatch.delenv(name)
    yield
    gc.enable()  # the command turns it off


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Asked":
    monkeypatch.chdir(tmp_path)
    return Asked(monkeypatch)


class Asked:
    """What `nativecache build WORDS` would ask the driver for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests: list[Request] = []
        self.monkeypatch = monkeypatch

        def note(request: Request, front: Front, **_: object) -> Report:
            self.requests.append(request)
            raise _Asked(request)

        monkeypatch.setattr(nativecache.aot.build, "build", note)

    def __call__(self, *words: str, **environment: str) -> Request:
        with self.monkeypatch.context() as patch, pytest.raises(SystemExit):  # noqa: PT012 - in that environment
            for name, value in environment.items():
                patch.setenv(f"NATIVECACHE_{name}", value)
            main(["build", *words])
        assert self.requests, "no build was asked for"
        return self.requests.pop()


def test_defaults(asked: Asked) -> None:
    request = asked("a.c")
    assert request.inputs == (Path("a.c"),)
    assert (request.output, request.emit, request.level, request.optimize) == (Path("a.out"), "exe", 2, True)
    assert (request.target, request.cpu, request.features) == (None, None, "")
    assert request.threads == len(os.sched_getaffinity(0))
    assert (request.clang, request.linker, request.driver) == (None, "auto", None)
    assert (request.clang_flags, request.link_options) == ((), ())


@pytest.mark.parametrize(
    ("words", "variable", "value", "field", "expected"),
    [
        ("-o out", "OUTPUT", "out", "output", Path("out")),
        ("-O3", "OPT", "3", "level", 3),
        ("-O0", "OPT", "0", "level", 0),
        ("--no-opt", "NO_OPT", "1", "optimize", False),
        ("--import-limit 7", "IMPORT_LIMIT", "7", "import_lines", 7),
        ("--import-limit 0", "IMPORT_LIMIT", "0", "import_lines", 0),
        ("--target aarch64-linux-gnu", "TARGET", "aarch64-linux-gnu", "target", "aarch64-linux-gnu"),
        ("--cpu native", "CPU", "native", "cpu", "native"),
        ("--features +avx2,-bmi", "FEATURES", "+avx2,-bmi", "features", "+avx2,-bmi"),
        ("--emit shared", "EMIT", "shared", "emit", "shared"),
        ("-j 3", "THREADS", "3", "threads", 3),
        ("-j3", "THREADS", "3", "threads", 3),
        ("--linker mold", "LINKER", "mold", "linker", "mold"),
        ("--cc gcc", "CC", "gcc", "driver", "gcc"),
        ("--llvm llvmlite", "LLVM", "llvmlite", "engine", "llvmlite"),
        ("--clang clang-19", "CLANG", "clang-19", "clang", "clang-19"),
        ("-Iinclude", "INCLUDE", "include", "clang_flags", ("-Iinclude",)),
        ("-I one -I two", "INCLUDE", "one two", "clang_flags", ("-Ione", "-Itwo")),
        ("-DNDEBUG -D X=1", "DEFINES", "NDEBUG X=1", "clang_flags", ("-DNDEBUG", "-DX=1")),
        ("-U X", "UNDEFINES", "X", "clang_flags", ("-UX",)),
        ("--std c99", "STD", "c99", "clang_flags", ("-std=c99",)),
        ("--cflag=-fPIC --cflag -w", "CFLAGS", "-fPIC -w", "clang_flags", ("-fPIC", "-w")),
    ],
)
def test_options_and_their_environment_variables(
    asked: Asked, words: str, variable: str, value: str, field: str, expected: object
) -> None:
    assert getattr(asked("a.c", *words.split()), field) == expected
    assert getattr(asked("a.c", **{variable: value}), field) == expected


def test_options_win_over_the_environment(asked: Asked) -> None:
    assert asked("a.c", "-O1", "-j2", OPT="3", THREADS="7").level == 1
    assert asked("a.c", "-O1", "-j2", OPT="3", THREADS="7").threads == 2


@pytest.mark.parametrize("words", [["--cache-dir", "here"], []])
def test_the_cache_folder(asked: Asked, tmp_path: Path, words: list[str]) -> None:
    request = asked("a.c", *words, DIR="there")
    assert request.store.root == tmp_path / ("here" if words else "there")


def test_no_cache(asked: Asked) -> None:
    assert asked("a.c", "--no-cache").store.root is None
    assert asked("a.c", NO_CACHE="1", DIR="there").store.root is None


@pytest.mark.parametrize(
    "flag",
    [
        "-std=c11",
        "-fPIC",
        "-fno-exceptions",
        "-march=native",
        "-msse4.2",
        "-Wall",
        "-w",
        "-g",
        "-g1",
        "-pedantic",
    ],
)
def test_compilers_own_flags_go_to_clang(asked: Asked, flag: str) -> None:
    request = asked(flag, "a.c")
    assert (request.clang_flags, request.link_options) == ((flag,), ())
    assert request.inputs == (Path("a.c"),)


@pytest.mark.parametrize(
    "flag", ["-lm", "-Llib", "-Wl,--as-needed", "-static", "-rdynamic", "-no-pie", "-nostdlib"]
)
def test_linkers_flags_go_to_the_link(asked: Asked, flag: str) -> None:
    request = asked("a.c", flag, "-O1")
    assert (request.clang_flags, request.link_options, request.level) == ((), (flag,), 1)


def test_pthread_is_for_both(asked: Asked) -> None:
    request = asked("-pthread", "a.c")
    assert request.clang_flags == ("-pthread",) and "-pthread" in request.link_options


def test_link_options_keep_their_order_behind_the_dashes(asked: Asked) -> None:
    request = asked("-lone", "a.c", "-Ldir", "b.o", "--", "-ltwo", "extra.a", "--strange")
    assert request.link_options == ("-lone", "-Ldir", "-ltwo", "extra.a", "--strange")
    assert request.inputs == (Path("a.c"), Path("b.o"))


def test_values_of_options_are_not_taken_for_flags(asked: Asked) -> None:
    request = asked("--cflag", "-lm", "a.c", "--cflag", "-g")
    assert request.clang_flags == ("-lm", "-g") and request.link_options == ()


@pytest.mark.parametrize(
    ("emit", "name"),
    [
        ("exe", "a.out"),
        ("shared", "main.so"),
        ("object", "main.o"),
        ("archive", "main.a"),
        ("asm", "main.s"),
        ("bitcode", "main.bc"),
    ],
)
def test_default_output_names(asked: Asked, emit: str, name: str) -> None:
    assert default_output(emit, ["dir/main.c", "other.c"]) == Path(name)
    assert asked("dir/main.c", "other.c", "--emit", emit).output == Path(name)
    assert emit in EMIT_KINDS


def test_help_names_every_options_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["build", "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for name in (
        "DIR",
        "TIMINGS",
        "THREADS",
        "OPT",
        "EMIT",
        "LINKER",
        "CLANG",
        "CC",
        "QUIET",
        "IMPORT_LIMIT",
    ):
        assert f"NATIVECACHE_{name}" in text


@pytest.mark.parametrize("words", [["--help"], ["cache", "--help"]])
def test_lists_of_commands_are_not_cut_short(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(words)
    commands = capsys.readouterr().out.partition("Commands:")[2]
    assert commands and "..." not in commands


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert re.fullmatch(r"nativecache, version \d+\.\d+\.\d+\n", capsys.readouterr().out)


# The line of truth

REPORT = Report(
    output="app",
    units=2700,
    functions=2603,
    function_hits=2602,
    hits=2699,
    shared=0,
    grouped=0,
    unreached=0,
    compiled=(CompiledUnit("f", "function", 14.2, False),),
    corrupt=0,
    saved_seconds=18.94,
    whole=(),
    whole_hits=0,
    warnings=(),
    phases={"link": Phase(0.0612, 0.05)},
    wall_seconds=1.0,
    image_bytes=1,
)


def test_summary_is_one_line_of_truth() -> None:
    assert summary(REPORT) == (
        "app: 2602 of 2603 functions from cache (99.96 %), 1 compiled in 14 ms, saved 18.9 s, linked in 61 ms"
    )


def test_summary_when_all_were_there() -> None:
    report = replace(REPORT, function_hits=2603, compiled=(), saved_seconds=0.5)
    assert summary(report) == (
        "app: 2603 of 2603 functions from cache (100 %), 0 compiled, saved 500 ms, linked in 61 ms"
    )


def test_summary_when_nothing_was_there() -> None:
    compiled = tuple(CompiledUnit(f"f{n}", "function", 600.0, False) for n in range(4))
    report = replace(REPORT, functions=4, function_hits=0, compiled=compiled, saved_seconds=0.0)
    assert summary(report) == (
        "app: 0 of 4 functions from cache (0 %), 4 compiled in 2.4 s, saved 0 ms, linked in 61 ms"
    )


@pytest.mark.parametrize(
    ("hits", "total", "share"),
    [(1, 3, "33.33"), (1, 2, "50"), (9, 10, "90"), (99_999, 100_000, "99.99"), (0, 0, "100"), (1, 8, "12.5")],
)
def test_shares(hits: int, total: int, share: str) -> None:
    """Never 100 % unless it is all."""
    assert f" ({share} %)," in summary(replace(REPORT, functions=total, function_hits=hits))


def test_data_is_a_unit_but_no_function() -> None:
    compiled = (CompiledUnit("f", "function", 1.0, False), CompiledUnit("data:a.c", "data", 1.0, False))
    line = summary(replace(REPORT, functions=5, function_hits=4, compiled=compiled))
    assert "4 of 5 functions from cache (80 %), 2 units compiled in 2 ms" in line


def test_units_compiled_for_what_they_inline_are_told_apart() -> None:
    compiled = (CompiledUnit("f", "function", 1.0, False), CompiledUnit("g", "function", 1.0, True))
    line = summary(replace(REPORT, functions=5, function_hits=3, compiled=compiled))
    assert "2 compiled in 2 ms (1 changed, 1 that inline them), " in line


def test_outputs_that_are_not_linked() -> None:
    assert "linked" not in summary(replace(REPORT, phases={}))


# End to end

PROGRAM = {
    "lib.c": "int add(int x, int y) { return x + y; }\nint twin(int x, int y) { return x + y; }\n",
    "main.c": """\
int add(int, int), twin(int, int);
int total = 1;
int main(void) { return add(1, 1) + twin(2, 1) + total - 6; }
""",
}
WORDS = ("lib.c", "main.c", "-O0", "-o", "app")

pytestmark = needs_clang


def test_stats_of_a_cold_and_a_warm_build(tmp_path: Path) -> None:
    write(tmp_path, PROGRAM)
    cold = build(tmp_path, *WORDS).stats
    assert {name: cold[name] for name in ("units", "functions", "hits", "misses", "shared", "corrupt")} == {
        "units": 4,
        "functions": 3,
        "hits": 1,  # twin is add's equal
        "misses": 3,
        "shared": 1,
        "corrupt": 0,
    }
    assert sorted(cold["compiled"]) in (["add", "data:main.c", "main"], ["data:main.c", "main", "twin"])
    assert cold["image_bytes"] == (tmp_path / "app").stat().st_size
    assert cold["wall_seconds"] > 0 and cold["compiled_milliseconds"] > 0 and cold["saved_seconds"] == 0
    names = {
        "load",
        "index",
        "resolve",
        "partition",
        "extract",
        "key",
        "look-up",
        "compile",
        "rename",
        "link",
    }
    assert names <= cold["phases"].keys()
    for phase in cold["phases"].values():
        assert phase.keys() == {"wall", "cpu"} and all(value >= 0 for value in phase.values())
    warm = build(tmp_path, *WORDS).stats
    assert (warm["units"], warm["hits"], warm["misses"], warm["compiled"]) == (4, 4, 0, [])
    assert warm["function_hits"] == warm["functions"] == 3
    assert warm["saved_seconds"] > 0


def test_one_plain_line_and_no_colours_when_not_a_terminal(tmp_path: Path) -> None:
    write(tmp_path, PROGRAM)
    cold = build(tmp_path, *WORDS)
    line = re.sub(r"\d+ ms", "N ms", cold.stdout)
    assert line == (
        "app: 1 of 3 functions from cache (33.33 %), 3 units compiled in N ms, saved N ms, linked in N ms\n"
    )
    assert cold.stderr == "" and "\x1b" not in cold.stdout


@pytest.mark.parametrize("words", [["-q"], ["--quiet", "--timings", "-v"]])
def test_quiet_says_nothing(tmp_path: Path, words: list[str]) -> None:
    write(tmp_path, PROGRAM)
    result = build(tmp_path, *WORDS, *words)
    assert (result.stdout, result.stderr) == ("", "")
    assert run(tmp_path / "app").code == 0


def test_quiet_still_hands_on_warnings(tmp_path: Path) -> None:
    write(tmp_path, {"main.c": "int main(void) { int unused; return 0; }\n"})
    result = build(tmp_path, "main.c", "-Wall", "-q", "-o", "app")
    assert result.stdout == "" and "unused variable" in result.stderr


def test_verbose_names_what_was_compiled(tmp_path: Path) -> None:
    write(tmp_path, PROGRAM)
    lines = build(tmp_path, *WORDS, "-v").stdout.splitlines()
    assert (
        "app: 4 units, 0 of several functions that must stay together, 1 equal to another, 0 never reached"
        in lines
    )
    assert sum(bool(re.fullmatch(r"app: compiled \S+ in \d+ ms", line)) for line in lines) == 3


def test_timings_from_the_environment_show_all_phases_and_the_slowest_misses(tmp_path: Path) -> None:
    write(tmp_path, PROGRAM)
    text = build(tmp_path, *WORDS, env={"NATIVECACHE_TIMINGS": "1"}).stdout
    rows = re.findall(r"│ ([\w-]+) +│ +(\d+) ms │ +(\d+) ms │", text)
    names = [name for name, *_ in rows]
    order = [
        "load",
        "index",
        "resolve",
        "partition",
        "extract",
        "key",
        "look-up",
        "compile",
        "store",
        "rename",
        "link",
    ]
    assert [name for name in names if name in order] == order
    assert "slowest misses" in text and re.search(r"│ main +│ +\d+ ms │", text)
    assert text.splitlines()[-1].startswith("app: ") and "\x1b" not in text
    warm = build(tmp_path, *WORDS, "--timings").stdout
    assert "slowest" not in warm and "│ compile" not in warm


def test_the_environment_moves_the_cache_and_sets_the_workers(tmp_path: Path) -> None:
    write(tmp_path, PROGRAM)
    environment = {"NATIVECACHE_DIR": str(tmp_path / "else" / "where"), "NATIVECACHE_THREADS": "1"}
    assert build(tmp_path, *WORDS, env=environment).misses == 3
    assert list((tmp_path / "else" / "where").rglob("*.o")) and not (tmp_path / "cache").exists()
    assert build(tmp_path, *WORDS, env=environment).misses == 0


def test_without_a_cache_nothing_is_kept(tmp_path: Path) -> None:
    write(tmp_path, PROGRAM)
    for _ in range(2):
        assert build(tmp_path, *WORDS, "--no-cache").misses == 3
    assert not (tmp_path / "cache").exists()


def test_compilers_flags_reach_clang_and_the_linker(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"main.c": "#include <math.h>\nint main(int c, char **v) { return (int)floor(cos(c - 1)) - N; }\n"},
    )
    words = ["main.c", "-std=c99", "-fno-builtin", "-Wall", "-DN=1", "-L.", "-Wl,--as-needed", "-pthread"]
    build(tmp_path, *words, "-lm", "-o", "app")
    assert run(tmp_path / "app").code == 0


def test_files_compiled_whole_are_reported(tmp_path: Path) -> None:
    write(tmp_path, PROGRAM)
    result = build(tmp_path, *WORDS, "-fsanitize=undefined")
    assert "compiled whole by clang, for its passes cannot be split: lib.c, main.c" in result.stdout
    assert result.stats["whole"] == ["lib.c", "main.c"]


def test_figures_that_cannot_be_written_are_an_error(tmp_path: Path) -> None:
    write(tmp_path, PROGRAM)
    done = build(tmp_path, *WORDS, "--stats-json", tmp_path / "nodir" / "stats.json", check=False)
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        f"nativecache: error: {tmp_path}/nodir/stats.json: cannot be written: No such file or directory"
    ]


def on_a_terminal(space: Path, **environment: str) -> str:
    """What a build writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "nativecache.cli.start", "build", *WORDS, "--timings"],
        cwd=space,
        env={
            **clean_environment(),
            "NATIVECACHE_DIR": str(space / "cache"),
            "TERM": "xterm-256color",
            **environment,
        },
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as child:
        os.close(theirs)
        data = b""
        while True:
            try:
                data += os.read(ours, 65536)
            except OSError:
                break
    os.close(ours)
    assert child.returncode == 0, data
    return data.decode()


@pytest.mark.slow
def test_a_terminal_shows_progress_and_colours_unless_told_not_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    write(tmp_path, PROGRAM)
    colourful = on_a_terminal(tmp_path)
    shutil.rmtree(tmp_path / "cache")
    plain = on_a_terminal(tmp_path, NO_COLOR="1")
    for text in (colourful, plain):
        assert "compiling" in text and "2 files from cache" in text
    assert COLOUR.search(colourful) and not COLOUR.search(plain)


def test_stats_are_json_with_a_line_end(tmp_path: Path) -> None:
    write(tmp_path, PROGRAM)
    build(tmp_path, *WORDS)
    text = (tmp_path / "stats.json").read_text()
    assert text.endswith("}\n") and isinstance(json.loads(text), dict)


@needs_clang
def test_the_image_is_the_same_whichever_llvm_makes_it(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(
        "#include <stdio.h>\nstatic double half(double x) { return x / 2; }\n"
        "int main(int n, char **v) {\n  double s = 0;\n  for (int i = 0; i < n * 100; i++) s += half(i);\n"
        '  return printf("%g\\n", s) < 0;\n}\n'
    )
    images = []
    for engine in ("llvmlite", "auto"):
        build(tmp_path, "a.c", "-o", "a", "--llvm", engine)
        images.append((tmp_path / "a").read_bytes())
    assert images[0] == images[1]


def test_flags_that_are_edited_behind_the_builds_back_are_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCC_OVERRIDE_OPTIONS", "# +-fsanitize=address")
    with pytest.raises(SystemExit) as ended:
        main(["build", "a.c"])
    assert ended.value.code == 2 and "CCC_OVERRIDE_OPTIONS" in capsys.readouterr().err
