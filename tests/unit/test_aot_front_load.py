"""Inputs become printed IR or files for the linker, and all that is wrong with them is said at once."""

from pathlib import Path

import pytest
from harness import CLANG, needs_clang

from nativecache.aot.codegen import llvm
from nativecache.aot.errors import BuildError
from nativecache.aot.front.clang import Clang
from nativecache.aot.front.load import Loaded, index, load
from nativecache.aot.front.sources import ClangJobs, FrontEnd, is_native, is_source
from nativecache.aot.ir.module import index_module
from nativecache.cache.file_store import FileStore
from nativecache.cache.lookup import EntryStore

FUNCTION = "define i32 @f() {\n  ret i32 1\n}\n"


def read(space: Path, *names: str, flags: tuple[str, ...] = ()) -> Loaded:
    inputs = [space / name for name in names]
    sources = ClangJobs(inputs, FrontEnd(Clang((CLANG,), 22), 0, flags), threads=1, outputs=space)
    return load(inputs, sources, EntryStore(FileStore(space / "cache")), threads=1)


def problems(space: Path, *names: str) -> list[str]:
    with pytest.raises(BuildError) as caught:
        read(space, *names)
    return [problem.replace(f"{space}/", "") for problem in caught.value.problems]


@pytest.mark.parametrize("name", ["a.c", "a.cc", "a.cpp", "a.cxx", "a.C", "a.i", "a.s", "a.S"])
def test_sources_go_through_clang(name: str) -> None:
    assert is_source(Path(name)) and not is_native(Path(name))


@pytest.mark.parametrize("name", ["a.o", "liba.a", "liba.so", "liba.so.6", "liba.so.1.2.3"])
def test_objects_archives_and_libraries_go_to_the_linker(name: str) -> None:
    assert is_native(Path(name)) and not is_source(Path(name))


def test_text_and_bitcode_read_alike(tmp_path: Path) -> None:
    (tmp_path / "a.ll").write_text(FUNCTION)
    (tmp_path / "a.bc").write_bytes(llvm.Llvmlite().unit_bitcode(FUNCTION))
    texts = [found.text for found in read(tmp_path, "a.ll", "a.bc").texts]
    assert [text[text.index("define ") :] for text in texts] == [FUNCTION, FUNCTION]


def test_text_that_llvm_would_print_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.ll").write_text(FUNCTION)
    (tmp_path / "b.ll").write_text(FUNCTION.replace("  ret", " ret"))
    as_it_is, as_printed = (found.text for found in read(tmp_path, "a.ll", "b.ll").texts)
    assert as_it_is == FUNCTION and as_printed.startswith("; ModuleID") and as_printed.endswith(FUNCTION)
    assert {index_module(text, "").source_file for text in (as_it_is, as_printed)} == {"<string>"}


def test_llvm_reads_only_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    functions = [f"define i32 @f{n}() {{\n  ret i32 {n}\n}}\n" for n in range(3)]
    (tmp_path / "a.ll").write_text("".join(functions))
    read(tmp_path, "a.ll")
    real = llvm.read_module

    def read_module(data: bytes, clear_names: bool = False) -> str:
        assert b"ret i32 0" not in data and b"ret i32 2" not in data
        return real(data, clear_names)

    monkeypatch.setattr(llvm, "read_module", read_module)
    edited = "".join(functions).replace("ret i32 1", "ret i32 100")
    for text in ("".join(functions), edited, edited):
        (tmp_path / "a.ll").write_text(text)
        assert read(tmp_path, "a.ll").texts[0].text == text


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("  ret i64 1\n", "a.ll: 7:7: error: value doesn't match function result type 'i32'"),
        ("  ret i32 @f\n", "a.ll: 7:11: error: global variable reference must have pointer type"),
        ("  ret i32 %x\n", "a.ll: 7:11: error: use of undefined value '%x'"),
    ],
)
def test_a_function_that_went_bad_is_told_with_its_line(tmp_path: Path, body: str, problem: str) -> None:
    texts = [FUNCTION, "\n\n", FUNCTION.replace("@f", "@g")]
    (tmp_path / "a.ll").write_text("".join(texts))
    read(tmp_path, "a.ll")
    (tmp_path / "a.ll").write_text("".join(texts).replace("@g() {\n  ret i32 1\n", f"@g() {{\n{body}"))
    assert problems(tmp_path, "a.ll") == [problem]
    (tmp_path / "a.ll").write_text("".join(texts))
    assert read(tmp_path, "a.ll").texts[0].text == "".join(texts)


def test_texts_come_in_the_order_of_the_inputs(tmp_path: Path) -> None:
    names = [f"{name}.ll" for name in "dbca"]
    for name in names:
        (tmp_path / name).write_text(FUNCTION)
    assert [Path(found.label).name for found in read(tmp_path, *names).texts] == names


def test_bitcode_is_known_by_its_beginning(tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(llvm.Llvmlite().unit_bitcode(FUNCTION))
    assert "define i32 @f()" in read(tmp_path, "odd").texts[0].text


def test_native_inputs_keep_their_places(tmp_path: Path) -> None:
    for name in ("a.ll", "b.ll"):
        (tmp_path / name).write_text(FUNCTION)
    for name in ("1.o", "2.o", "3.o"):
        (tmp_path / name).write_bytes(b"\x7fELF")
    loaded = read(tmp_path, "1.o", "a.ll", "2.o", "3.o", "b.ll")
    assert {n: path.name for n, path in loaded.native.items()} == {0: "1.o", 2: "2.o", 3: "3.o"}
    assert loaded.numbers == (1, 4)


def test_native_inputs_alone(tmp_path: Path) -> None:
    for name in ("1.o", "2.o"):
        (tmp_path / name).write_bytes(b"\x7fELF")
    loaded = read(tmp_path, "1.o", "2.o")
    assert list(loaded.native) == [0, 1] and loaded.numbers == ()


def test_all_unreadable_inputs_are_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty.ll").touch()
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "folder.c").mkdir()
    (tmp_path / "bad.ll").write_text("define i32 @f() {\n  ret i64 1\n}\n")
    found = problems(tmp_path, "empty.ll", "notes.txt", "folder.c", "bad.ll", "missing.ll")
    assert found == [
        "empty.ll: the file is empty",
        "notes.txt: unknown kind of input; known are .ll .bc .c .cc .cpp .cxx .s .o .a .so",
        "folder.c: is a directory; name the files in it",
        "missing.ll: No such file or directory",
        "bad.ll: 2:7: error: value doesn't match function result type 'i32'",
    ]


def test_names_that_look_like_types_are_taken_off_values(tmp_path: Path) -> None:
    """`%T` is a type here and a value there; only one of them may keep the name."""
    (tmp_path / "a.ll").write_text(
        "%T = type { i32, i32 }\n"
        "define i32 @f(ptr %T) {\n"
        "  %x = getelementptr %T, ptr %T, i32 0, i32 1\n  %v = load i32, ptr %x\n  ret i32 %v\n}\n"
    )
    text = read(tmp_path, "a.ll").texts[0].text
    assert "define i32 @f(ptr %0)" in text and "getelementptr %T, ptr %0" in text


@needs_clang
def test_sources_sanitized_are_compiled_whole(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int f(void) { return 1; }\n")
    loaded = read(tmp_path, "a.c", flags=("-fsanitize=undefined",))
    assert loaded.texts == () and [Path(name).name for name in loaded.whole] == ["a.c"]
    assert len(loaded.native) == 1


@needs_clang
def test_warnings_are_kept_and_errors_of_several_files_come_together(tmp_path: Path) -> None:
    (tmp_path / "warn.c").write_text("int f(void) { int unused; return 1; }\n")
    (tmp_path / "bad.c").write_text("int f(void) { return one; }\n")
    (tmp_path / "worse.c").write_text("int g(void) { return two; }\n")
    assert "unused variable" in "".join(read(tmp_path, "warn.c", flags=("-Wall",)).warnings)
    found = problems(tmp_path, "bad.c", "warn.c", "worse.c")
    assert [text.splitlines()[-1] for text in found] == [
        "bad.c: clang ended with status 1",
        "worse.c: clang ended with status 1",
    ]


def test_ir_of_an_unknown_form_is_named_per_file() -> None:
    odd = "define what is this {\n}\n"
    with pytest.raises(BuildError) as caught:
        index([("a.ll", odd), ("b.ll", FUNCTION), ("c.ll", odd)], relative=True)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["a.ll", "c.ll"]
