"""Bad input: a clear line each, the right exit code, no half-written output, and no work lost."""

import faulthandler
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import CLANG, BuildResult, clean_environment, needs_clang, needs_lld, needs_mold
from rules import Build, write

from nativecache.aot.codegen import llvm

GOOD = "int good(int x) { return x * 3 + 1; }\nint fine(int x) { return x - 2; }\n"
MAIN = "int good(int), fine(int);\nint main(void) { return good(1) + fine(-2); }\n"
IR = "define i32 @one() {\n  ret i32 1\n}\n"

pytestmark = needs_clang

# Builds are forks of the test process, and a crash in one of theirs is no news for pytest's own log.
os.register_at_fork(after_in_child=faulthandler.disable)


def attempt(space: Path, *words: str | Path) -> tuple[int | None, str]:
    """Exit code of a build and all that it printed."""
    started = Build.start(space, space, *words)
    started.process.join(60)
    assert started.process.exitcode is not None, "it hangs"
    return started.process.exitcode, started.log.read_text()


def fails(space: Path, code: int, *words: str | Path) -> list[str]:
    """The lines of a build that fails as it should: an older output stays, and no other file comes."""
    (space / "app").write_text("older")
    before = files(space)
    exit_code, said = attempt(space, "-o", "app", *words)
    assert exit_code == code, said
    assert "Traceback" not in said
    assert (space / "app").read_text() == "older"
    assert files(space) == before
    return said.splitlines()


def files(space: Path) -> set[Path]:
    return {path for path in space.iterdir() if path.name not in ("log", "cache", "stats.json")}


def rebuilt(space: Path, *words: str | Path) -> BuildResult:
    """The program after it was put right: by how much was compiled, one sees what was kept."""
    return Build.start(space, space, "-o", "app", *words).result()


@pytest.mark.parametrize("name", ["missing.c", "missing.ll", "missing.bc", "missing.o", "nodir/x.ll"])
def test_missing_file(tmp_path: Path, name: str) -> None:
    write(tmp_path, {"main.c": MAIN})
    assert fails(tmp_path, 1, "main.c", name) == [f"nativecache: error: {name}: No such file or directory"]


@pytest.mark.parametrize("name", ["empty.ll", "empty.bc", "empty.o"])
def test_empty_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert fails(tmp_path, 1, name) == [f"nativecache: error: {name}: the file is empty"]


def test_unknown_suffix(tmp_path: Path) -> None:
    write(tmp_path, {"notes.txt": "hello", "main.c": MAIN})
    (line,) = fails(tmp_path, 1, "main.c", "notes.txt")
    assert line.startswith("nativecache: error: notes.txt: unknown kind of input; known are .ll .bc .c")


def test_a_folder_as_input(tmp_path: Path) -> None:
    (tmp_path / "folder.c").mkdir()
    assert fails(tmp_path, 1, "folder.c") == [
        "nativecache: error: folder.c: is a directory; name the files in it"
    ]


def test_several_bad_inputs_are_reported_at_once(tmp_path: Path) -> None:
    write(tmp_path, {"bad.ll": "define", "worse.ll": "hello"})
    lines = fails(tmp_path, 1, "missing.c", "bad.ll", "worse.ll")
    assert sorted(line.split(":")[2].strip() for line in lines) == ["bad.ll", "missing.c", "worse.ll"]


@pytest.mark.parametrize("size", [4, 20, 300, -8])
def test_truncated_bitcode(tmp_path: Path, size: int) -> None:
    (tmp_path / "cut.bc").write_bytes(llvm.Llvmlite().unit_bitcode(IR)[:size])
    (line,) = fails(tmp_path, 1, "cut.bc")
    assert line.startswith("nativecache: error: cut.bc: ")


@pytest.mark.parametrize("part", range(4))
def test_bitcode_with_flipped_bits(tmp_path: Path, part: int) -> None:
    """Whatever LLVM makes of it: an image or a line."""
    text = (
        IR
        + '@s = private constant [6 x i8] c"hello\\00"\ndeclare i32 @puts(ptr)\n%T = type { i32, ptr }\n'
        + (
            "define i32 @main(i32 %c, ptr %v) {\n  %x = call i32 @puts(ptr @s)\n"
            "  %p = getelementptr %T, ptr %v, i32 1\n"
            "  %d = icmp eq i32 %c, %x\n  br i1 %d, label %a, label %b\na:\n  ret i32 1\nb:\n  ret i32 0\n}\n"
        )
    )
    good = llvm.Llvmlite().unit_bitcode(text)
    for n in range(part, 40, 4):
        place = random.Random(n)
        data = bytearray(good)
        data[place.randrange(4, len(data))] ^= 1 << place.randrange(8)
        (tmp_path / "flip.bc").write_bytes(data)
        (tmp_path / "app").unlink(missing_ok=True)
        code, said = attempt(tmp_path, "flip.bc", "--emit", "asm", "-o", "app", "-j1")
        assert code in (0, 1) and "Traceback" not in said, (n, said)
        assert (tmp_path / "app").exists() == (code == 0)
        assert said.startswith("app: " if code == 0 else "nativecache: error: "), (n, said)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("define i32 @f() {\n  ret i64 1\n}\n", "2:7: error: value doesn't match function result type 'i32'"),
        ("define i32 @f(i1 %c) {\n  br i1 %c, label %a, label %b\na:\n  %v = add i32 1, 1\n  ret i32 %v\n"
         "b:\n  ret i32 %v\n}\n", "Instruction does not dominate all uses!"),
        ("define void @f() {\n  invent i32 1\n  ret void\n}\n", "2:3: error: expected instruction opcode"),
        ("@v = global i32 1\n@v = global i32 2\n", "error: redefinition of global '@v'"),
    ],
)  # fmt: skip
def test_ir_that_does_not_verify_or_is_of_another_llvm(tmp_path: Path, text: str, reason: str) -> None:
    write(tmp_path, {"bad.ll": text})
    (line,) = fails(tmp_path, 1, "bad.ll")
    assert line.startswith("nativecache: error: bad.ll: ") and reason in line


def test_c_syntax_error_is_clangs_message(tmp_path: Path) -> None:
    write(tmp_path, {"main.c": "int main(void) { return 1 +; }\n"})
    lines = fails(tmp_path, 1, "main.c")
    assert lines[0] == "main.c:1:28: error: expected expression"
    assert lines[-1] == "nativecache: error: main.c: clang ended with status 1"
    assert sum(line.startswith("nativecache:") for line in lines) == 1


def test_errors_of_several_c_files_are_all_shown(tmp_path: Path) -> None:
    write(tmp_path, {"a.c": "int a = x;\n", "b.c": "int b = y;\n", "c.c": "int c;\n"})
    text = "\n".join(fails(tmp_path, 1, "a.c", "b.c", "c.c"))
    assert "undeclared identifier 'x'" in text and "undeclared identifier 'y'" in text


# Targets


def test_unknown_target_of_the_input(tmp_path: Path) -> None:
    write(tmp_path, {"a.ll": f'target triple = "nosuch-linux-gnu"\n{IR}'})
    (line,) = fails(tmp_path, 1, "a.ll")
    assert line.startswith("nativecache: error: unknown target 'nosuch-linux-gnu'")


def test_unknown_target_asked_for(tmp_path: Path) -> None:
    write(tmp_path, {"a.ll": IR, "main.c": MAIN})
    (line,) = fails(tmp_path, 1, "a.ll", "--target", "nosuch-linux-gnu")
    assert line.startswith("nativecache: error: unknown target 'nosuch-linux-gnu'")
    theirs, ours = fails(tmp_path, 1, "main.c", "--target", "nosuch-linux-gnu")
    assert "unknown target triple 'nosuch" in theirs and ours.startswith(
        "nativecache: error: main.c: clang ended"
    )


@pytest.mark.parametrize("option", ["--cpu=nosuch", "--features=+nosuch"])
def test_unknown_cpu_or_feature(tmp_path: Path, option: str) -> None:
    write(tmp_path, {"a.ll": IR})
    (line,) = fails(tmp_path, 1, "a.ll", option)
    assert line.startswith("nativecache: error: target x86_64") and "nosuch" in line


def test_mixed_targets(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "arm.ll": f'target triple = "aarch64-unknown-linux-gnu"\n{IR}',
            "x86.ll": f'target triple = "x86_64-unknown-linux-gnu"\n{IR.replace("one", "two")}',
        },
    )
    assert fails(tmp_path, 1, "arm.ll", "x86.ll") == [
        "nativecache: error: x86.ll: is for x86_64-unknown-linux-gnu, "
        "but the build is for aarch64-unknown-linux-gnu; build one target at a time"
    ]


def test_mixed_targets_with_layouts_are_one_line_a_file(tmp_path: Path) -> None:
    write(tmp_path, {"arm.ll": f'target triple = "aarch64-unknown-linux-gnu"\n{IR}', "main.c": MAIN})
    (line,) = fails(tmp_path, 1, "arm.ll", "main.c")
    assert line.startswith("nativecache: error: main.c: is for x86_64")


# Tools


def test_no_clang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"main.c": MAIN})
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (line,) = fails(tmp_path, 1, "main.c")
    assert line.startswith("nativecache: error: C and C++ inputs need a clang") and "--clang" in line


def test_a_clang_that_does_not_exist(tmp_path: Path) -> None:
    write(tmp_path, {"main.c": MAIN})
    assert fails(tmp_path, 2, "main.c", "--clang", "nosuch") == [
        "nativecache: error: clang not found: nosuch"
    ]
    (line,) = fails(tmp_path, 2, "main.c", "--clang", "true")
    assert line.endswith("true is not clang")


def test_no_linker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"a.ll": IR.replace("one", "main")})
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path / "nothing"))
        patch.setattr("importlib.util.find_spec", lambda name: None)
        (line,) = fails(tmp_path, 3, "a.ll")
    assert line.startswith("nativecache: error: no C compiler to link with: install gcc or clang")
    assert rebuilt(tmp_path, "a.ll").misses == 0


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("--linker=nosuch", "nativecache: error: linker not found: nosuch"),
        ("--cc=nosuch", "nativecache: error: compiler driver not found: nosuch"),
    ],
)
def test_unknown_linker_or_driver_loses_no_work(tmp_path: Path, option: str, line: str) -> None:
    write(tmp_path, {"good.c": GOOD, "main.c": MAIN})
    assert fails(tmp_path, 3, "good.c", "main.c", option) == [line]
    assert rebuilt(tmp_path, "good.c", "main.c").misses == 0


# Symbols


@pytest.mark.parametrize(
    "linker", ["bfd", pytest.param("lld", marks=needs_lld), pytest.param("mold", marks=needs_mold)]
)
def test_undefined_symbols_are_named_once_each(tmp_path: Path, linker: str) -> None:
    write(
        tmp_path,
        {
            "good.c": GOOD,
            "main.c": "int good(int), gone(int), lost(int);\n"
            "int f(int x) { return gone(x) + gone(x + 1) + lost(x); }\n"
            "int main(int c, char **v) { return good(gone(c)) + f(c) + f(c + 1); }\n",
        },
    )
    lines = fails(tmp_path, 3, "good.c", "main.c", "-O0", "--linker", linker)
    named = sorted(line.partition(" (")[0] for line in lines)
    assert named == [
        "nativecache: error: undefined symbol: gone",
        "nativecache: error: undefined symbol: lost",
    ]
    write(tmp_path, {"more.c": "int gone(int x) { return x; }\nint lost(int x) { return -x; }\n"})
    done = rebuilt(tmp_path, "good.c", "main.c", "more.c", "-O0", "--linker", linker)
    assert not {"good", "fine"} & set(done.compiled), "what calls the new symbols is another unit now"


def test_duplicate_definitions_are_reported_at_once_with_both_files(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a.c": "int f(void) { return 1; }\nint g(void) { return 1; }\nint x = 1;\nint alone;\n",
            "b.c": "int f(void) { return 2; }\nint x = 2;\n",
            "c.ll": "define i32 @g() {\n  ret i32 1\n}\n",
        },
    )
    assert sorted(fails(tmp_path, 1, "a.c", "b.c", "c.ll")) == [
        "nativecache: error: 'f' is defined in a.c and in b.c; rename one or make it static",
        "nativecache: error: 'g' is defined in a.c and in c.ll; rename one or make it static",
        "nativecache: error: 'x' is defined in a.c and in b.c; rename one or make it static",
    ]


def test_a_native_object_that_defines_the_same(tmp_path: Path) -> None:
    write(tmp_path, {"good.c": GOOD, "main.c": MAIN})
    subprocess.run([CLANG, "-c", "good.c", "-o", "good.o"], cwd=tmp_path, check=True)
    lines = fails(tmp_path, 3, "good.c", "main.c", "good.o", "-O0")
    assert any("good" in line for line in lines) and all(
        line.startswith("nativecache: error: ") for line in lines
    )


def test_a_damaged_object(tmp_path: Path) -> None:
    write(tmp_path, {"main.c": "int main(void) { return 0; }\n"})
    (tmp_path / "bad.o").write_bytes(b"\x7fELF" + bytes(100))
    lines = fails(tmp_path, 1, "main.c", "bad.o")
    assert len(lines) == 1 and lines[0].startswith("nativecache: error: bad.o: cannot be linked: ")


# Outputs


def test_output_is_a_folder(tmp_path: Path) -> None:
    write(tmp_path, {"main.c": MAIN})
    (tmp_path / "out").mkdir()
    lines = fails(tmp_path, 1, "main.c", "-o", "out")
    assert lines == ["nativecache: error: out: is a directory; name a file with -o"]
    assert list((tmp_path / "out").iterdir()) == []


def test_output_folder_is_missing(tmp_path: Path) -> None:
    write(tmp_path, {"main.c": MAIN})
    assert fails(tmp_path, 1, "main.c", "-o", "no/app") == [
        "nativecache: error: no/app: its folder does not exist"
    ]


def test_an_output_without_a_name(tmp_path: Path) -> None:
    """An object is called after its source, as by clang; an image has no other name."""
    write(tmp_path, {"main.c": MAIN})
    *_, line = fails(tmp_path, 2, "main.c", "-o", "")
    assert line.endswith("-o '': the output's name is empty; name a file")
    assert attempt(tmp_path, "main.c", "-c", "-o", "")[0] == 0 and (tmp_path / "main.o").exists()


def test_missing_headers_are_for_preprocessing_alone(tmp_path: Path) -> None:
    write(tmp_path, {"main.c": MAIN})
    *_, line = fails(tmp_path, 2, "main.c", "-MD", "-MG")
    assert "-MG: clang takes it with -M or -MM only" in line


@pytest.mark.parametrize("level", ["-O4", "-O33", "-O-1"])
def test_levels_beyond_the_highest_are_that(tmp_path: Path, level: str) -> None:
    write(tmp_path, {"main.c": "int main(void) { return 0; }\n"})
    for _ in range(2):  # what needs not be built again says it, too
        code, said = attempt(tmp_path, "main.c", level, "-q", "-o", "app")
        assert code == 0 and said.endswith(f"warning: {level} is taken as -O3\n"), said
    app = (tmp_path / "app").read_bytes()
    assert attempt(tmp_path, "main.c", "-O3", "-o", "app")[0] == 0
    assert (tmp_path / "app").read_bytes() == app


@pytest.mark.parametrize("spelling", ["main.ll", "./main.ll", "link.ll"])
def test_output_is_an_input(tmp_path: Path, spelling: str) -> None:
    write(tmp_path, {"main.ll": IR})
    (tmp_path / "link.ll").symlink_to("main.ll")
    (line,) = fails(tmp_path, 2, "main.ll", "-o", spelling)
    assert line == "nativecache: error: main.ll: is an input and the output; name another file with -o"
    assert (tmp_path / "main.ll").read_text() == IR


@pytest.mark.parametrize("kind", ["object", "asm", "bitcode", "archive", "shared"])
def test_other_outputs_are_not_touched_either(tmp_path: Path, kind: str) -> None:
    write(tmp_path, {"bad.c": 'void f(void) { __asm__("nosuchinstruction"); }\n'})
    words = ["bad.c", "--emit", kind]
    if kind in ("asm", "bitcode"):  # nothing is assembled there
        write(tmp_path, {"bad.c": "int f(void) { return x; }\n"})
    assert fails(tmp_path, 1, *words)[-1].startswith("nativecache: error: bad.c: ")


# Usage


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "no inputs"),
        (["main.c", "-Ox"], "'x' is not a valid integer"),
        (["main.c", "-j0"], "0 is not in the range"),
        (["main.c", "--nosuch"], "No such option '--nosuch'"),
        (["main.c", "--emit", "nosuch"], "'nosuch' is not one of"),
        (["main.c", "--import-limit", "few"], "'few' is not a valid integer"),
        (["main.c", "-o"], "requires an argument"),
    ],
)
def test_usage_errors(tmp_path: Path, words: list[str], reason: str) -> None:
    write(tmp_path, {"main.c": MAIN})
    code, said = attempt(tmp_path, *words)
    assert code == 2 and "Traceback" not in said
    assert reason in said.splitlines()[-1]


def test_a_bad_value_in_the_environment_names_its_variable(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nativecache.cli.start", "build", "x.c"],
        cwd=tmp_path,
        env=clean_environment() | {"NATIVECACHE_THREADS": "many"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "NATIVECACHE_THREADS" in done.stderr.splitlines()[-1]


def test_an_unknown_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nativecache.cli.start", "nosuch"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "No such command 'nosuch'" in done.stderr


# Work that is kept


@pytest.mark.parametrize(
    ("asm", "reason"),
    [
        ('"mov $1, %%nosuch"', "invalid register name"),
        ('"nop" : : "{nosuch}"(1)', "couldn't allocate input reg for constraint '{nosuch}'"),
        ('"nosuchinstruction"', "invalid instruction mnemonic"),
    ],
)
def test_a_worker_that_dies_costs_one_line_and_nothing_else(tmp_path: Path, asm: str, reason: str) -> None:
    if "{nosuch}" in asm:  # clang itself would not take it
        file, call = "bad.ll", 'call void asm sideeffect "nop", "{nosuch}"(i32 1)'
        bad = f"define i32 @bad(i32 %x) noinline {{\n  {call}\n  ret i32 %x\n}}\n"
    else:
        file = "bad.c"
        bad = f"__attribute__((noinline)) int bad(int x) {{ __asm__ volatile({asm}); return x; }}\n"
    main = MAIN.replace("return", "return bad(-4) +").replace("int good", "int bad(int), good")
    write(tmp_path, {file: bad, "good.c": GOOD, "main.c": main})
    (line,) = fails(tmp_path, 1, "good.c", file, "main.c", "-O1", "--import-limit", "0")
    assert line.startswith(f"nativecache: error: {file}: function 'bad': ") and reason in line
    write(tmp_path, {"bad.c": "__attribute__((noinline)) int bad(int x) { return x; }\n"})
    again = rebuilt(tmp_path, "good.c", "bad.c", "main.c", "-O1", "--import-limit", "0")
    assert again.compiled == ["bad"]


def test_several_bad_functions_are_all_named(tmp_path: Path) -> None:
    body = '{ __asm__ volatile("nosuch%d"); }'
    functions = [f"void f{n}(void) {body.replace('%d', str(n))}" for n in range(3)]
    write(tmp_path, {"bad.c": "\n".join([*functions, "int main(void) { f0(); f1(); f2(); }\n"])})
    lines = sorted(fails(tmp_path, 1, "bad.c", "-O0", "-j1"))
    assert [line.partition("': ")[0] for line in lines] == [
        f"nativecache: error: bad.c: function 'f{n}" for n in range(3)
    ]


def test_a_compile_error_keeps_the_units_of_the_last_build(tmp_path: Path) -> None:
    write(tmp_path, {"good.c": GOOD, "main.c": MAIN})
    first = rebuilt(tmp_path, "good.c", "main.c")
    assert first.misses > 0
    write(tmp_path, {"main.c": MAIN + "int"})
    fails(tmp_path, 1, "good.c", "main.c")
    write(tmp_path, {"main.c": MAIN})
    assert rebuilt(tmp_path, "good.c", "main.c").misses == 0


ADD_IN_ASSEMBLY = """\
 .text
 .globl good
good:
 lea (%rdi,%rdi), %eax
 ret
 .section .note.GNU-stack,"",@progbits
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="assembly of x86-64")
def test_flags_of_one_language_are_not_unused_for_files_of_another(tmp_path: Path) -> None:
    main = "int good(int); int main(void) { return good(2) - 4; }\n"
    write(tmp_path, {"main.c": main, "good.s": ADD_IN_ASSEMBLY, "more.cc": "int more;\n"})
    strict = ("-Werror", "-Wall", "-std=c11", "-O2")
    code, said = attempt(tmp_path, "main.c", "good.s", "-o", "app", *strict)
    assert (code, "warning" in said) == (0, False), said
    assert "compiled whole by clang, for assembly is not split: good.s" in said
    assert subprocess.run([tmp_path / "app"], check=False).returncode == 0
    words = ("main.c", "more.cc", "--emit", "archive", "-o", "app.a", "-Werror", "-stdlib=libstdc++")
    assert attempt(tmp_path, *words)[0] == 0


def test_a_file_that_is_named_twice(tmp_path: Path) -> None:
    write(tmp_path, {"good.c": GOOD, "main.c": MAIN})
    for line in fails(tmp_path, 1, "good.c", "./good.c", "main.c"):
        assert line.endswith("is defined in good.c and in ./good.c; name the file once")


@pytest.mark.parametrize("linker", ["bfd", pytest.param("mold", marks=needs_mold)])
def test_what_linkers_say_of_whole_sources_names_those(tmp_path: Path, linker: str) -> None:
    write(tmp_path, {"a.c": "int one; int main(void) { return 0; }\n", "b.c": "int one = 1;\n"})
    write(tmp_path, {"c.c": "int one = 2;\n"})
    said = fails(tmp_path, 3, "a.c", "b.c", "c.c", "-pg", "-fcommon", "--linker", linker)
    assert "one" in said[-1] and "b.c" in said[-1] and "c.c" in said[-1]
    assert not any("/nativecache-" in line for line in said)


def test_features_want_a_sign(tmp_path: Path) -> None:
    (tmp_path / "one.ll").write_text(IR)
    (line,) = fails(tmp_path, 1, "one.ll", "--emit", "object", "--features", "avx")
    assert line.endswith("features 'avx' for it; each feature begins with + or -")


def _run(folder: Path, *words: str, **streams: object) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "nativecache.cli.start", *words]
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    return subprocess.run(command, cwd=folder, env=clean_environment(), check=False, **given)  # type: ignore[call-overload,no-any-return]


def test_help_where_a_command_is_missing_has_lines(tmp_path: Path) -> None:
    done = _run(tmp_path, "cache")
    assert done.returncode == 2 and b"\n  clear " in done.stderr


def test_errors_that_cannot_be_said_have_their_exit_code(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        assert _run(tmp_path, "build", "missing.ll", stderr=full).returncode == 1


def test_a_dash_is_standard_output(tmp_path: Path) -> None:
    (tmp_path / "one.ll").write_text(IR)
    done = _run(tmp_path, "build", "one.ll", "--emit", "asm", "-o", "-", "--no-cache")
    assert b"one:" in done.stdout and b"1 compiled" in done.stderr and not (tmp_path / "-").exists()


def test_a_thin_archive_of_what_is_no_file(tmp_path: Path) -> None:
    write(tmp_path, {"main.c": "int main(void) { return 0; }\n", "names": ""})
    for name in ("/dev/zero", "nothing.o"):
        table = f"{name}/\n".ljust(12, "\n").encode()
        archive = b"!<thin>\n" + b"%-48s%-10d`\n" % (b"//", len(table)) + table
        archive += b"%-48s%-10d`\n" % (b"/0", 100)
        (tmp_path / "thin.a").write_bytes(archive)
        why = "Not a plain file" if name[0] == "/" else "No such file or directory"
        (line,) = fails(tmp_path, 1, "main.c", "thin.a")
        assert line.endswith(f"thin.a: cannot be linked: it names {name}: {why}")


@pytest.mark.skipif(
    bool(shutil.which("riscv64-linux-gnu-gcc")), reason="needs a machine without libc of RISC-V"
)
@needs_lld
def test_an_image_for_a_machine_without_libraries(tmp_path: Path) -> None:
    write(tmp_path, {"a.ll": 'target triple = "riscv64-linux-gnu"\ndefine i32 @main() { ret i32 0 }\n'})
    (line,) = fails(tmp_path, 3, "a.ll")
    assert "no start-up files and C library to link with for riscv64" in line and "--cc" in line
