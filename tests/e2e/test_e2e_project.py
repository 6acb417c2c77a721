"""Programs whose files have flags of their own do what clang's do, cold, warm and after edits."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from harness import CLANG, edit, needs_clang, run
from rules import write

from nativecache.aot.build import build as build_request
from nativecache.aot.errors import UsageError
from nativecache.aot.front.sources import Front
from nativecache.aot.report import Report
from nativecache.aot.request import EmitKind, Input, Request
from nativecache.cache.file_store import FileStore
from nativecache.cache.lookup import EntryStore

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
