"""Which clang is taken, which flags it must run alone, and what it says when it fails."""

from pathlib import Path

import pytest
from harness import CLANG, needs_clang

from nativecache.aot.errors import BuildError, UsageError
from nativecache.aot.front.clang import Clang, compile_whole, compiles_whole, emit_ir, find_clang

FRONT = Clang((CLANG,), 22)


def fake(folder: Path, name: str, version: int) -> str:
    """A program that says it is a clang."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho clang version {version}.1.0\n")
    path.chmod(0o755)
    return str(path)


def no_zig(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


def test_the_newest_numbered_clang_is_taken(tmp_path: Path) -> None:
    fake(tmp_path, "clang", 19)
    fake(tmp_path, "clang-17", 17)
    newest = fake(tmp_path, "clang-20", 20)
    assert find_clang(None, {"PATH": str(tmp_path)}) == Clang((newest,), 20)


def test_a_clang_newer_than_llvmlite_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_zig(monkeypatch)
    fake(tmp_path, "clang", 23)
    fake(tmp_path, "clang-23", 23)
    with pytest.raises(BuildError, match="between 14 and 22, and there is none"):
        find_clang(None, {"PATH": str(tmp_path)})
    old = fake(tmp_path, "clang-14", 14)
    assert find_clang(None, {"PATH": str(tmp_path)}).command == (old,)


def test_a_plain_clang_will_do(tmp_path: Path) -> None:
    plain = fake(tmp_path, "clang", 18)
    assert find_clang(None, {"PATH": str(tmp_path)}) == Clang((plain,), 18)


def test_a_clang_asked_for_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="clang not found: nosuch"):
        find_clang("nosuch", {"PATH": str(tmp_path)})
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\necho something else 1.0\n")
    other.chmod(0o755)
    with pytest.raises(UsageError, match="other is not clang"):
        find_clang(str(other), {})


@pytest.mark.parametrize(
    "flag",
    [
        "-fsanitize=address",
        "-fprofile-generate",
        "-fcoverage-mapping",
        "--coverage",
        "-pg",
        "-fxray-instrument",
    ],
)
def test_flags_for_passes_of_clangs_own_compile_whole(flag: str) -> None:
    assert compiles_whole(["-Wall", flag])


@pytest.mark.parametrize(
    "flag", ["-fPIC", "-fno-exceptions", "-march=native", "-Wall", "-pthread", "-g", "-gsplit-dwarf"]
)
def test_other_flags_do_not(flag: str) -> None:
    assert not compiles_whole([flag])


@needs_clang
def test_ir_is_the_front_ends_without_passes(tmp_path: Path) -> None:
    source = tmp_path / "a.c"
    source.write_text("static int f(void) { int x = 1; return x; }\nint g(void) { return f(); }\n")
    text, messages = emit_ir(FRONT, source, 2, [], tmp_path / "scratch")
    assert b"alloca i32" in text and b"call i32 @f()" in text
    assert messages == ""
    assert not (tmp_path / "scratch").exists()


@needs_clang
def test_warnings_are_handed_on(tmp_path: Path) -> None:
    source = tmp_path / "a.c"
    source.write_text("int f(void) { int unused; return 1; }\n")
    _, messages = emit_ir(FRONT, source, 0, ["-Wall"], tmp_path / "scratch")
    assert "unused variable 'unused'" in messages


@needs_clang
def test_errors_are_clangs_own_and_one_line_of_ours(tmp_path: Path) -> None:
    source = tmp_path / "a.c"
    source.write_text("int f(void) { return x; }\n")
    with pytest.raises(BuildError) as caught:
        emit_ir(FRONT, source, 0, [], tmp_path / "scratch")
    *theirs, ours = str(caught.value).splitlines()
    assert any("use of undeclared identifier 'x'" in line for line in theirs)
    assert ours == f"{source}: clang ended with status 1"


@needs_clang
def test_a_file_compiled_whole_is_an_object(tmp_path: Path) -> None:
    source, output = tmp_path / "a.c", tmp_path / "a.o"
    source.write_text("int f(void) { return 1; }\n")
    data, messages = compile_whole(FRONT, source, 2, ["-fsanitize=address"], output)
    assert data.startswith(b"\x7fELF") and b"__asan" in data and messages == ""
    assert not output.exists()


def test_a_clang_that_cannot_run(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"a\.c: cannot run .*nosuch: No such file"):
        emit_ir(Clang((str(tmp_path / "nosuch"),), 22), Path("a.c"), 0, [], tmp_path / "scratch")
