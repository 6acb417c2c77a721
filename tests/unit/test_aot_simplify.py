"""Functions are cleaned up once, and carried where that pays."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from harness import edit, needs_clang
from pipeline import Pipeline, indexed, resolved_modules
from rules import Build, write

from nativecache.aot.codegen import llvm
from nativecache.aot.key import Options
from nativecache.aot.packed import decode_names
from nativecache.aot.simplify import CLEANED_LINES
from nativecache.aot.units.bodies import Body, RawBody, SimplifiedBody
from nativecache.aot.units.imports import ImportLimits
from nativecache.aot.units.output_model import OutputModel
from nativecache.cache.entry import Entry
from nativecache.cache.lookup import EntryStore
from nativecache.cache.store import BuildStore, MemoryStore

LIMITS = ImportLimits(lines=10, total=100)


def prepared(*texts: str, store: BuildStore | None = None, interposable: bool = False) -> Pipeline:
    made = resolved_modules(indexed(*texts), OutputModel(interposable=interposable))
    made = replace(made, store=EntryStore(store or MemoryStore())).simplify(LIMITS)
    for memo in made.memos:
        memo.save()
    return made


def simplified_bodies(
    *texts: str, store: BuildStore | None = None, interposable: bool = False
) -> Mapping[str, Body]:
    return prepared(*texts, store=store, interposable=interposable).candidates.bodies


def test_bodies_are_cleaned_up_and_counted() -> None:
    bodies = simplified_bodies(
        "define i32 @f(i32 %x) {\n  %p = alloca i32\n  store i32 %x, ptr %p\n"
        "  %v = load i32, ptr %p\n  ret i32 %v\n}\n"
    )
    assert "alloca" not in bodies["f"].entity.text
    assert bodies["f"].lines <= 3 and bodies["f"].importable


def test_long_functions_are_left_as_they_are() -> None:
    steps = "".join(f"  store volatile i32 {n}, ptr %p\n" for n in range(CLEANED_LINES))
    bodies = simplified_bodies(f"define void @f(ptr %p) {{\n{steps}  ret void\n}}\n")
    assert isinstance(bodies["f"], RawBody)
    assert bodies["f"].entity.text.count("store") == CLEANED_LINES


def test_what_must_not_be_optimised_or_stays_together_has_no_body() -> None:
    bodies = simplified_bodies(
        "define void @raw() noinline optnone {\n  ret void\n}\n"
        "define ptr @blocks() {\n  br label %b\nb:\n  ret ptr blockaddress(@blocks, %b)\n}\n"
        "define void @aliased() {\n  ret void\n}\n@a = alias void (), ptr @aliased\n"
        "define void @plain() {\n  ret void\n}\n"
    )
    assert list(bodies) == ["plain"]


def test_mentions_are_counted_by_final_names() -> None:
    bodies = simplified_bodies(
        "declare void @out(ptr)\ndefine internal void @in(ptr %p) {\n"
        "  store volatile i32 1, ptr %p\n  ret void\n}\n"
        "define void @f(ptr %p) {\n  call void @in(ptr %p)\n  call void @in(ptr @in)\n"
        "  call void @out(ptr %p)\n  ret void\n}\n"
    )
    assert Counter(decode_names(bodies["f"].mentions)) == {"in.0": 3, "out": 1}


def test_exported_functions_of_a_shared_library_stay_in_their_file() -> None:
    text = "define void @open() {\n  ret void\n}\ndefine hidden void @closed() {\n  ret void\n}\n"
    bodies = simplified_bodies("define void @x() {\n  ret void\n}\n", text, interposable=True)
    assert (bodies["open"].home, bodies["closed"].home) == (1, None)
    assert simplified_bodies(text)["open"].home is None


def test_clean_ups_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "define i32 @f() {\n  ret i32 1\n}\ndefine i32 @g() {\n  ret i32 2\n}\n"
    store = MemoryStore()
    first = simplified_bodies(text, store=store)

    def never(self: llvm.Llvmlite, text: str, options: Options) -> str:
        raise RuntimeError("cleaned up again")

    monkeypatch.setattr(llvm.Llvmlite, "simplify", never)
    second = simplified_bodies(text, store=store)
    simplified = (
        {n: bytes(b.printed) for n, b in bodies.items() if isinstance(b, SimplifiedBody)}
        for bodies in (first, second)
    )
    texts = list(simplified)
    assert texts[0] == texts[1] != {}
    other = simplified_bodies(text.replace("i32 2", "i32 3"), store=store)
    assert list(other) == ["f"], "only g is new, and its clean-up fails here"


def test_a_mistake_of_ours_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(self: llvm.Llvmlite, text: str, options: Options) -> str:
        raise KeyError(text)

    monkeypatch.setattr(llvm.Llvmlite, "simplify", mistaken)
    with pytest.raises(KeyError):
        prepared("define i32 @f() {\n  ret i32 1\n}\n")


def test_what_another_nativecache_made_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "define i32 @f() {\n  ret i32 1\n}\n"
    store = MemoryStore()
    assert cleaned_up_anew(monkeypatch, store, text) == 1
    assert cleaned_up_anew(monkeypatch, store, text) == 0
    monkeypatch.setattr("nativecache.aot.key.own_code", lambda: "newer" * 4)
    assert cleaned_up_anew(monkeypatch, store, text) == 1


def cleaned_up_anew(monkeypatch: pytest.MonkeyPatch, store: BuildStore, *texts: str) -> int:
    """Builds, and says for how many functions nothing was kept."""

    def never(self: llvm.Llvmlite, text: str, options: Options) -> str:
        raise RuntimeError("not kept")

    with monkeypatch.context() as patch:
        patch.setattr(llvm.Llvmlite, "simplify", never)
        made = prepared(*texts, store=store)
    prepared(*texts, store=store)
    return len(made.units) - len(made.candidates.bodies)


F, G, H = (f"define linkonce_odr i32 @{name}() {{\n  ret i32 {n}\n}}\n" for n, name in enumerate("fgh"))


def test_clean_ups_are_found_when_another_file_takes_the_function_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = MemoryStore()
    assert cleaned_up_anew(monkeypatch, store, "", F + G) == 2
    assert cleaned_up_anew(monkeypatch, store, F + H, F + G) == 1


def test_files_of_one_name_keep_each_others_clean_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    found = [cleaned_up_anew(monkeypatch, store, text) for text in (F, G, F, G)]
    assert found == [1, 1, 0, 0]


def test_clean_ups_that_nobody_needs_go_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    found = [cleaned_up_anew(monkeypatch, store, text) for text in (F + G, H, F + G)]
    assert found == [2, 1, 1], "of those that H's build did not use, as many stay as it used"


def test_damaged_clean_ups_cost_time_only() -> None:
    class Damaged(MemoryStore):
        def get(self, key: str) -> bytes | None:
            data = super().get(key)
            return data and data[:40] + bytes([data[40] ^ 1]) + data[41:]

    store = Damaged()
    text = "define i32 @f() {\n  ret i32 1\n}\n"
    first = simplified_bodies(text, store=store)
    second = simplified_bodies(text, store=store)
    assert first["f"].entity.text == second["f"].entity.text


# End to end

FILES = {
    "small.c": "int small(int x) { return x * 3 + 1; }\n",
    "main.c": """\
extern int small(int);
extern volatile int sink;
#define STEPS sink = 1; sink = 2; sink = 3; sink = 4; sink = 5; sink = 6; sink = 7; sink = 8; sink = 9;
#define MANY STEPS STEPS STEPS STEPS
volatile int sink;
int first(int x) { MANY return small(x) + 1; }
int second(int x) { MANY return small(x) * 2; }
int third(int x) { MANY return x + 4; }
int main(int argc, char **argv) {
    int (*volatile f[])(int) = {first, second, third};
    return f[argc - 1](f[1](f[2](argc))) & 7;
}
""",
}

TABLE = "__const.main.f.main"  # which clang copies the array from


def rebuild(space: Path, *words: str) -> list[str]:
    return sorted(Build.start(space, space, "small.c", "main.c", "-o", "app", *words).result().compiled)


@needs_clang
def test_an_edit_of_a_callee_compiles_it_and_those_that_imported_it(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    assert rebuild(tmp_path) == [TABLE, "data:main.c", "first", "main", "second", "third"]
    edit(tmp_path / "small.c", "x * 3", "x * 5")
    assert rebuild(tmp_path) == ["first", "second"], "small itself is in both, and no object needs it"
    edit(tmp_path / "main.c", "x + 4", "x + 5")
    assert rebuild(tmp_path) == ["third"]
    assert rebuild(tmp_path) == []


@needs_clang
def test_without_imports_an_edit_compiles_that_function_alone(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    assert rebuild(tmp_path, "--import-limit", "0") == [
        TABLE,
        *sorted(["data:main.c", "first", "main", "second", "small", "third"]),
    ]
    edit(tmp_path / "small.c", "x * 3", "x * 5")
    assert rebuild(tmp_path, "--import-limit", "0") == ["small"]


@needs_clang
def test_a_function_called_once_lives_in_its_callers_unit(tmp_path: Path) -> None:
    steps = "sink = 1; " * 60
    once = f"static int once(int x) {{ {steps} return x; }}\n"
    main = f"int main(int c, char **v) {{ {steps} return once(c) - 1; }}\n"
    write(tmp_path, {"small.c": "int small;\n", "main.c": f"volatile int sink;\n{once}{main}"})
    assert rebuild(tmp_path) == ["data:main.c", "main"]
    edit(tmp_path / "main.c", "return x", "return x + sink - sink")
    assert rebuild(tmp_path) == ["main"]
    edit(tmp_path / "main.c", "once(c) - 1", "once(c) + once(1) - 2")
    assert rebuild(tmp_path) == ["main", "once"]


def test_entries_of_clean_ups_are_entries_like_all_others() -> None:
    """One per input: the name of the file and the options make its key."""
    store = MemoryStore()
    kept: list[str] = []

    class Noting(MemoryStore):
        def put(self, key: str, value: bytes) -> None:
            kept.append(key)
            store.put(key, value)

    prepared("define i32 @f() {\n  ret i32 1\n}\n", "define i32 @g() {\n  ret i32 1\n}\n", store=Noting())
    assert len(set(kept)) == 4, "a pack and a memo for each of two inputs"
    assert all(isinstance(EntryStore(store).load(key), Entry) for key in kept)


def test_workers_that_are_shown_texts_make_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = (
        "declare void @out(ptr)\ndefine void @in(ptr %p) {\n  call void @out(ptr %p)\n  ret void\n}\n",
        "declare void @in(ptr)\ndefine void @f(ptr %p) {\n  call void @in(ptr %p)\n  ret void\n}\n",
    )
    shown = simplified_bodies(*texts)
    monkeypatch.setattr("nativecache.aot.simplify.FEW", -1)
    written = simplified_bodies(*texts)
    assert list(shown) == list(written) == ["in", "f"]
    for name, body in shown.items():
        other = written[name]
        assert isinstance(body, SimplifiedBody) and isinstance(other, SimplifiedBody)
        assert (body.printed, body.digest, body.bindings) == (other.printed, other.digest, other.bindings)
        assert (body.mentions, body.lines) == (other.mentions, other.lines)
