"""What clang's back end would say is said: when code is made, when it comes from the cache, as an error."""

from pathlib import Path

import pytest
from harness import Run, needs_clang, run
from rules import Build, write

pytestmark = needs_clang

PROGRAM = {
    "a.c": (
        "void use(char *);\n"
        '__attribute__((warning("old"))) void old(void);\n'
        "int big(void) { char b[10000]; use(b); return b[5]; }\n"
        "int calls(void) { old(); return 1; }\n"
        "void loop(int *a, int n) {\n"
        "#pragma clang loop vectorize(enable)\n"
        "  for (int i = 1; i < n; i++) { a[i] += a[i - 1] * 3; if (a[i] == 7) use(0); }\n}\n"
        'int asms(void) { __asm__ volatile(".warning \\"hey\\""); return 1; }\n'
        "int main(void) { int a[3] = {0}; loop(a, 3); return big() + calls() + asms() - 2; }\n"
    ),
    "b.c": "void use(char *p) { if (p) p[5] = 0; }\nvoid old(void) {}\n",
}
WORDS = ("a.c", "b.c", "-Wframe-larger-than=1000", "--import-limit=0", "-o", "app")


def start(space: Path, *words: str) -> Build:
    return Build.start(space, space, *words)


def end(build: Build) -> Run:
    build.process.join()
    assert build.process.exitcode is not None
    return Run(build.process.exitcode, build.log.read_bytes(), b"")


def warnings(done: Run) -> list[str]:
    return [line for line in done.stdout.decode().splitlines() if ": warning: " in line]


@pytest.mark.parametrize("engine", ["auto", "llvmlite"])
def test_warnings_are_said_once_per_build_and_again_on_a_hit(tmp_path: Path, engine: str) -> None:
    write(tmp_path, PROGRAM)
    cold = end(start(tmp_path, *WORDS, "--llvm", engine))
    assert cold.code == 0
    said = warnings(cold)
    assert [line.partition(": warning: ")[0] for line in said] == [
        f"a.c: in function '{name}'" for name in ("big", "calls", "loop", "asms")
    ]
    frame, call, loop, asm = (line.partition(": warning: ")[2] for line in said)
    assert frame == "stack frame size (10008) exceeds limit (1000) [-Wframe-larger-than]"
    assert call == "call to 'old' declared with 'warning' attribute: old [-Wattribute-warning]"
    assert loop.startswith("loop not vectorized: ") and loop.endswith("[-Wpass-failed]")
    assert asm == "<inline asm>:1:2: hey [-Winline-asm]"
    assert run(tmp_path / "app").code == 0
    hits = start(tmp_path, *WORDS, "--llvm", engine, "-DUNUSED").result()
    assert hits.misses == 0 and [line for line in hits.stdout.splitlines() if ": warning: " in line] == said
    quiet = end(start(tmp_path, *WORDS, "--llvm", engine, "-w", "-DUNUSED"))
    assert quiet.code == 0 and warnings(quiet) == []


def test_a_call_to_be_warned_of_is_not_inlined_from_another_file(tmp_path: Path) -> None:
    sources = {
        "a.c": '__attribute__((warning("old"))) int old(void);\nint main(void) { return old(); }\n',
        "b.c": "int old(void) { return 0; }\n",
    }
    write(tmp_path, sources)
    done = start(tmp_path, *sources, "-O2", "-o", "app").result()
    assert warnings(Run(0, done.stdout.encode(), b"")) == [
        "a.c: in function 'main': warning: call to 'old' declared with 'warning' attribute: old"
        " [-Wattribute-warning]"
    ]


def test_errors_are_clangs_and_leave_nothing(tmp_path: Path) -> None:
    write(tmp_path, PROGRAM)
    done = end(start(tmp_path, *WORDS, "-Werror"))
    text = done.stdout.decode()
    assert done.code == 1 and not (tmp_path / "app").exists()
    assert "a.c:3:5: error: stack frame size (10008) exceeds limit (1000) in 'big' [-Werror" in text
    assert "a.c:4:19: error: call to 'old' declared with 'warning' attribute: old [-Werror" in text
    assert text.endswith("nativecache: error: a.c: clang ended with status 1\n")


@pytest.mark.parametrize(
    "source",
    [
        '__attribute__((error("never"))) void never(void);\n'
        "__attribute__((noinline)) static int f(int a) { if (a != 3) never(); return a; }\n"
        "int main(void) { return f(3) - 3; }\n",
        '__attribute__((warning("old"))) void old(void);\n'
        '#pragma clang diagnostic ignored "-Wattribute-warning"\n'
        "int main(void) { old(); return 0; }\n",
    ],
    ids=["a call that only those can remove who see the file", "a pragma"],
)
def test_what_clang_accepts_is_built_as_clang_builds_it(tmp_path: Path, source: str) -> None:
    write(tmp_path, {"a.c": source, "b.c": "void old(void) {}\n"})
    done = start(tmp_path, "a.c", "b.c", "-Werror", "--import-limit=0", "-o", "app").result()
    assert done.stats["whole"] == ["a.c"]
    assert run(tmp_path / "app").code == 0


def test_inline_asm_of_ir_is_refused_with_its_function(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"a.ll": 'define i32 @main() {\n  call void asm sideeffect "foo bar", ""()\n  ret i32 0\n}\n'},
    )
    for engine in ("auto", "llvmlite"):
        done = end(start(tmp_path, "a.ll", "-o", "app", "--llvm", engine))
        assert done.code == 1
        (line,) = done.stdout.decode().splitlines()
        assert line.startswith("nativecache: error: a.ll: function 'main': ")
        assert line.endswith("<inline asm>:1:2: invalid instruction mnemonic 'foo'") or engine == "llvmlite"
        assert "invalid instruction mnemonic 'foo'" in line
