"""Lists on the link line name what the linker knows by another name."""

from pathlib import Path

import pytest

from nativecache.linker.symbol_lists import translate_lists

RENAMED = {"b": ["b.one", "b.two"], "c": ["c", "c.one"]}


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list").write_text("a\nb\n # c\nc \n")
    (tmp_path / "copies").mkdir()
    return tmp_path


def translated(space: Path, *words: str, locals_too: bool = True) -> list[str]:
    return translate_lists(words, RENAMED, str(space / "copies"), locals_too=locals_too)


@pytest.mark.parametrize(
    "words",
    [
        "-Wl,--symbol-ordering-file=list",
        "-Wl,-symbol-ordering-file=list",
        "-Wl,--symbol-ordering-file,list",
        "-Wl,--symbol-ord,list",
        "-Wl,--symbol-ordering-file -Wl,list",
        "-Xlinker --symbol-ordering-file -Xlinker list",
        "--for-linker=--symbol-ordering-file=list",
        "@words",
        "-Wl,-z,now,@inner",
    ],
)
def test_however_the_list_is_named(space: Path, words: str) -> None:
    (space / "words").write_text("-O2 -Wl,--symbol-ordering-file=list")
    (space / "inner").write_text("--symbol-ordering-file=list")
    found = translated(space, "a.o", *words.split(), "-lm")
    assert found[0] == "a.o" and found[-1] == "-lm" and str(space / "copies/symbols0") in " ".join(found)
    assert "list" not in " ".join(found).replace(str(space), "")
    copy = (space / "copies" / "symbols0").read_text()
    assert copy == "a\nb.one\nb.two\n # c\nc\nc.one\n"
    assert ("now" in found) == ("now" in words)


def test_edges_take_the_last_of_a_name(space: Path) -> None:
    (space / "edges").write_text("a b 10\nc a 20\n")
    translated(space, "-Wl,--call-graph-ordering-file=edges")
    assert (space / "copies" / "symbols0").read_text() == "a b.two 10\nc.one a 20\n"


def test_what_is_retained_keeps_its_name_besides(space: Path) -> None:
    """The linker may find it in the names that locals of other objects have."""
    (space / "kept").write_text("a b\nd  e\n")
    words = ["-Wl,--retain-symbols-file=kept"]
    assert translated(space, *words, locals_too=False) == words
    assert translated(space, *words) != words
    assert (space / "copies" / "symbols0").read_text() == "a\nb\nb.one\nb.two\nd  e\n"


def test_lists_of_nothing_renamed_stay(space: Path) -> None:
    (space / "other").write_text("a\nd\n")
    for word in ("other", "gone"):
        words = ["-Wl,-z,now", "-Wl,--version-script=list", f"-Wl,--symbol-ordering-file={word}", "@gone"]
        assert translated(space, *words) == words
    assert translate_lists(["-Wl,--symbol-ordering-file=list"], {}, "gone", locals_too=True) == [
        "-Wl,--symbol-ordering-file=list"
    ]
