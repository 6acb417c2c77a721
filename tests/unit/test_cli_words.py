"""The reader of a build's words: what is an input, goes to clang, to the link, to us, or is refused."""

from pathlib import Path

import pytest

from nativecache.cli.option_table import BOTH, CLANG, DEPENDENCIES, DROPPED, INPUT, LINK, OURS
from nativecache.cli.words import BadWords, expand, read_words, split


def read(*words: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(word.place, word.words) for word in read_words(list(words))]


def test_inputs_and_link_options_keep_their_order() -> None:
    words = ("-La", "a.c", "-Wl,--whole-archive", "b.a", "-Wl,--no-whole-archive", "c.o", "-lm")
    places = (LINK, INPUT, LINK, INPUT, LINK, INPUT, LINK)
    assert read(*words) == [(place, (word,)) for place, word in zip(places, words, strict=True)]


@pytest.mark.parametrize(
    ("option", "place"),
    [
        *((option, CLANG) for option in ("-include-pch", "-imacros", "-Xclang", "-mllvm", "-isystem")),
        *((option, CLANG) for option in ("-iquote", "-idirafter", "-iprefix", "-iwithprefix", "-include")),
        *((option, CLANG) for option in ("-Xassembler", "-Xpreprocessor", "--param", "-ivfsoverlay")),
        *((option, LINK) for option in ("-Xlinker", "-z", "-T", "-u", "-e", "-l", "-L")),
        *((option, BOTH) for option in ("--sysroot", "-isysroot", "-B")),
        *((option, DEPENDENCIES) for option in ("-MF", "-MT", "-MQ")),
    ],
)
def test_options_keep_a_value_of_their_own(option: str, place: str) -> None:
    """Also one that looks like an option or an input."""
    for value in ("v.c", "-q", "-c"):
        assert read(option, value, "a.c") == [(place, (option, value)), (INPUT, ("a.c",))]
    with pytest.raises(BadWords, match=f"'{option}' requires an argument"):
        read("a.c", option)


@pytest.mark.parametrize(
    ("flag", "place"),
    [
        *((flag, CLANG) for flag in ("-std=c11", "-fPIC", "-march=native", "-Wall", "-w", "-g", "-undef")),
        *((flag, CLANG) for flag in ("-trigraphs", "-Qunused-arguments", "-save-temps", "-isystemdir")),
        *((flag, LINK) for flag in ("-lm", "-Ldir", "-Wl,-x", "-static", "-s", "-rdynamic", "-Ttext=4")),
        *((flag, LINK) for flag in ("-znow", "-uname", "-nostdlib")),
        *((flag, BOTH) for flag in ("-pthread", "-pg", "-stdlib=libc++", "-fopenmp", "-fsanitize=address")),
        *((flag, BOTH) for flag in ("--coverage", "-specs=x", "--sysroot=x", "-rtlib=compiler-rt")),
    ],
)
def test_flags_of_one_word(flag: str, place: str) -> None:
    assert read(flag, "a.c") == [(place, (flag,)), (INPUT, ("a.c",))]


def test_a_language_is_that_of_the_inputs_behind_it() -> None:
    words = read_words(["a", "-x", "c", "b", "-xc++", "c", "-x", "none", "d.c"])
    assert [(word.words[0], word.language) for word in words] == [
        ("a", ""),
        ("b", "c"),
        ("c", "c++"),
        ("d.c", ""),
    ]
    with pytest.raises(BadWords, match="'-x cuda' is not taken"):
        read("-x", "cuda", "a")


def test_standard_input_needs_a_language() -> None:
    assert read("-x", "c", "-") == [(INPUT, ("-",))]
    with pytest.raises(BadWords, match="put -x c before it"):
        read("-")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-MJ", "file"), "'-MJ file'"),
        (("-S",), "--emit asm"),
        (("-E",), "'-E'"),
        (("-M",), "-MD writes"),
        (("-###",), "'-###'"),
        (("-save-temps=obj",), "-save-temps=cwd"),
        (("-arch", "arm64"), "'-arch arm64'"),
        (("-nosuch",), "No such option '-nosuch': clang takes it as --cflag=-nosuch"),
        (("--nosuch=x",), "No such option '--nosuch=x'"),
        (("--improt-limit=3",), "did you mean --import-limit?"),
        (("-o",), "requires an argument"),
        (("",), "name is empty"),
    ],
)
def test_what_is_refused_is_named_in_full_with_a_remedy(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(BadWords) as caught:
        read("a.c", *words)
    assert said in str(caught.value)


def test_compilers_spellings_of_ours() -> None:
    found = read_words(["-c", "-shared", "-fuse-ld=lld", "-target", "t", "-ox", "-j2", "-Os", "--verify"])
    assert {word.place for word in found} == {OURS}
    assert [(word.name, word.value) for word in found] == [
        *(("--emit", "object"), ("--emit", "shared"), ("--linker", "lld"), ("--target", "t")),
        *(("-o", "x"), ("-j", "2"), ("-O", "s"), ("--verify", "10")),
    ]


def test_what_stands_behind_the_dashes_is_the_linkers() -> None:
    words = ("--", "-l", "m", "x.a", "-q", "--strange", "--start-group")
    assert read("a.c", *words) == [
        (INPUT, ("a.c",)),
        *((LINK, one) for one in (("-l", "m"), ("x.a",), ("-q",), ("--strange",), ("-Wl,--start-group",))),
    ]


def test_values_stand_where_every_driver_takes_them() -> None:
    assert read("--stdlib", "libc++", "-specs", "f") == [(BOTH, ("--stdlib=libc++",)), (BOTH, ("-specs=f",))]


def test_flags_that_gcc_as_a_driver_reads_unlike_clang() -> None:
    assert read("-pthreads", "-Wl,,-x,,-O1,") == [(LINK, ("-pthread",)), (LINK, ("-Wl,-x,-O1",))]
    assert read("-Wl,", "-Wl,,", "-dynamic", "-pipe") == [
        (DROPPED, (word,)) for word in ("-Wl,", "-Wl,,", "-dynamic", "-pipe")
    ]


def test_linkers_own_options_go_through_the_driver() -> None:
    assert read("--start-group", "a.a", "-rpath", "d") == [
        (LINK, ("-Wl,--start-group",)),
        (INPUT, ("a.a",)),
        (LINK, ("-Xlinker", "-rpath", "-Xlinker", "d")),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b\n\tc\r\n", ["a", "b", "c"]),
        ("'a b' \"c d\"e", ["a b", "c de"]),
        (r'"-DX=\"s\"" a\ b \\', ['-DX="s"', "a b", "\\"]),
        (r"'a\'b' c", ["a'b", "c"]),
        ("'open a", ["open a"]),
        ("'' a", ["a"]),
    ],
)
def test_files_of_options_are_split_as_clang_does(text: str, words: list[str]) -> None:
    assert split(text) == words


def test_files_of_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("one").write_text("-O1 @two 'a b.c'")
    Path("two").write_text("-DX")
    Path("loop").write_text("@loop")
    assert expand(["x", "@one", "@missing"]) == ["x", "-O1", "-DX", "a b.c", "@missing"]
    with pytest.raises(BadWords, match="the file holds itself"):
        expand(["@loop"])
    with pytest.raises(BadWords, match="cannot be read"):
        expand([f"@{tmp_path}"])


def test_configuration_files_stand_before_all_else_and_dollars_behind(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "more.cfg").write_text("-I<CFGDIR>\n")
    text = "# none \\\n  # none\n-DA=1 \\\n  -DB='x y' -DC#\n@inner/more.cfg\n$-lm -lfirst\n-DD=\\\\\n-w"
    (tmp_path / "k.cfg").write_text(text)
    given = ["-la", "a.c", "--config", f"{tmp_path}/k.cfg", "-Xclang", "--config=b", "--", "-z", "x"]
    words = read_words(given)
    assert [word for one in words for word in one.words] == [
        *("-DA=1", "-DB=x y", "-DC#", f"-I{tmp_path}/inner", "-lfirst", "-DD=\\", "-w"),
        *("-la", "a.c", "-Xclang", "--config=b", "-lm", "-z", "x"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("k.cfg", "", "name it with its folder"),
        ("./none.cfg", "", "cannot be read: No such file"),
        ("./k.cfg", "@k.cfg", "holds itself"),
        ("./k.cfg", "--config=other.cfg", "inside a configuration file"),
    ],
)
def test_configuration_files_that_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "k.cfg").write_text(text)
    with pytest.raises(BadWords, match=said):
        read_words([f"--config={name}", "a.c"])
