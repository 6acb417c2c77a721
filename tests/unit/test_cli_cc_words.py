"""What a compiler's command line asks for, and what is left to the real compiler."""

from pathlib import Path

import pytest

from nativecache.cli.cc_names import compiler_words, is_compiler
from nativecache.cli.cc_words import Passed, read_call


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *((name, True) for name in ("cc", "c++", "gcc", "g++", "clang", "clang++", "clang-22", "clang++-22")),
        *(
            (name, True)
            for name in ("gcc-12", "x86_64-linux-gnu-gcc", "aarch64-linux-gnu-g++-12", "clang-3.9")
        ),
        *(
            (name, False)
            for name in ("nativecache", "build", "cache", "ccache", "clang-format", "cpp", "clang-cl")
        ),
        *((name, False) for name in ("ld", "", "-22", "clang-tidy-22", "start.py")),
    ],
)
def test_names_of_compilers(name: str, is_one: bool) -> None:
    assert is_compiler(name) is is_one


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nativecache", "cc", "-c", "a.c"], ["cc", "-c", "a.c"]),
        (["/bin/nativecache", "/usr/bin/clang", "-c"], ["/usr/bin/clang", "-c"]),
        (["nativecache", "./wrapper", "-c"], ["./wrapper", "-c"]),
        (["/links/clang++-22", "-c", "a.cc"], ["clang++-22", "-c", "a.cc"]),
        (["/links/cc", "build"], ["cc", "build"]),
        (["nativecache", "build", "cc"], None),
        (["nativecache", "cache", "stats"], None),
        (["nativecache", "--version"], None),
        (["nativecache"], None),
    ],
)
def test_how_it_is_called(arguments: list[str], words: list[str] | None) -> None:
    assert compiler_words(arguments) == words


def read(words: str, *, cplusplus: bool = False) -> dict[str, object]:
    return vars(read_call(words.split(), cplusplus=cplusplus))


def test_a_plain_compile() -> None:
    assert read("-O2 -c src/a.c -Iinc -I inc2 -Wall") == {
        "source": "src/a.c",
        "language": "c",
        "output": "a.o",
        "flags": ["-O2", "-Iinc", "-I", "inc2", "-Wall"],
        "depends": "",
        "depfile": "",
        "targets": [],
        "phony": False,
    }


@pytest.mark.parametrize(
    ("words", "depends", "depfile", "targets", "phony"),
    [
        ("-MD", "-MD", "a.d", ["-MQ", "a.o"], False),
        ("-MMD -MP", "-MMD", "a.d", ["-MQ", "a.o"], True),
        ("-MD -o out/x.obj", "-MD", "out/x.d", ["-MQ", "out/x.obj"], False),
        ("-MD -o out.d/x.y.o", "-MD", "out.d/x.y.d", ["-MQ", "out.d/x.y.o"], False),
        ("-MD -MF d -o x.o", "-MD", "d", ["-MQ", "x.o"], False),
        ("-MD -MFd -MT t -MQq", "-MD", "d", ["-MT", "t", "-MQ", "q"], False),
        ("-MD -MD", "-MD", "a.d", ["-MQ", "a.o"], False),
        ("-Wp,-MMD,d -MMD", "-MMD", "d", ["-MQ", "a.o"], False),
        ("-Wp,-MD,d", "-MD", "d", ["-MQ", "a.o"], False),
        ("-Wp,-MMD,d -o x.o", "-MMD", "d", ["-MQ", "x.o"], False),
        ("-Wp,-MMD", "-MMD", "a.d", ["-MQ", "a.o"], False),
    ],
)
def test_depfiles(words: str, depends: str, depfile: str, targets: list[str], phony: bool) -> None:
    found = read(f"-c src/a.c {words}")
    assert (found["depends"], found["depfile"], found["targets"]) == (depends, depfile, targets)
    assert found["phony"] is phony and found["flags"] == []


@pytest.mark.parametrize(
    ("name", "cplusplus", "language"),
    [
        ("a.c", False, "c"),
        ("a.c", True, "c++"),
        ("a.cc", False, "c++"),
        ("a.b.cpp", False, "c++"),
        ("a.C", True, "c++"),
        ("a.S", False, "assembler-with-cpp"),
    ],
)
def test_languages(name: str, cplusplus: bool, language: str) -> None:
    found = read(f"-c {name}", cplusplus=cplusplus)
    assert found["language"] == language and found["output"] == name.rpartition(".")[0] + ".o"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("a.c", "link"),
        ("a.o b.o -o app", "link"),
        ("-E a.c", "preprocessing"),
        ("-E -c a.c", "preprocessing"),
        ("-MM -c a.c", "preprocessing"),
        ("-c a.c -dM", "preprocessing"),
        ("-S a.c", "another_output"),
        ("-c -emit-llvm a.c", "another_output"),
        ("-v", "another_output"),
        ("--version", "another_output"),
        ("-print-search-dirs", "another_output"),
        ("-c -", "another_output"),
        ("-c", "no_source"),
        ("-c a.c b.c", "several_sources"),
        ("-c a.c x.o", "several_sources"),
        ("-c a.s", "language"),
        ("-c a.i", "language"),
        ("-c a.m", "language"),
        ("-c a.cppm", "language"),
        ("-c a", "language"),
        ("-x c -c a.c", "language"),
        ("-xc -c a.c", "unknown_flag"),
        ("-c a.c -ofile", "unknown_flag"),
        ("-c a.c -o a.o -o b.o", "unknown_flag"),
        ("-c a.c -o", "unknown_flag"),
        ("-c a.c -MF d", "unknown_flag"),
        ("-c a.c -MP", "unknown_flag"),
        ("-c a.c -MT t", "unknown_flag"),
        ("-c a.c -MD -o noending", "unknown_flag"),
        ("-c a.c -Wp,-MD,d,e", "unknown_flag"),
        ("-c a.c -Wp,-MT,x", "unknown_flag"),
        ("-c a.c -Wp,-dM", "unknown_flag"),
        ("-c a.c -B.", "unknown_flag"),
        ("-c a.c --config=x", "unknown_flag"),
        ("-c a.c -working-directory=x", "unknown_flag"),
        ("-c a.c -specs=x", "unknown_flag"),
        ("-c a.c -include-pch x.pch", "unknown_flag"),
        ("-c a.c -ivfsoverlay x", "unknown_flag"),
        ("-c a.c -fplugin=x", "unknown_flag"),
        ("-c a.c -grecord-command-line", "unknown_flag"),
        ("-c a.c -fno-integrated-as", "unknown_flag"),
        ("-c a.c -fdebug-compilation-dir x", "unknown_flag"),
        ("-c a.c --serialize-diagnostics x", "unknown_flag"),
        ("-c a.c --", "unknown_flag"),
        ("-c a.c -Xclang -x", "inner_option"),
        ("-c a.c -mllvm -x", "inner_option"),
        ("-c a.c -gsplit-dwarf=single", "more_outputs"),
        ("-c a.c -ftime-trace", "more_outputs"),
        ("-c a.c --save-temps=obj", "more_outputs"),
        ("-c a.c -fsanitize=undefined", "instrumented"),
        ("-c a.c -fprofile-use=x", "instrumented"),
        ("-c a.c -fmodules", "modules"),
        ("-c a.c -fmodule-map-file=x", "modules"),
        ("-c a.c -mtune=native", "native_cpu"),
        ("-c a.c -mcpu=native+crypto", "native_cpu"),
        ("@nosuchfile -c a.c", "response_file"),
        # Clang warns of the one that it does not use.
        ("-c a.c -MMD -MD", "unknown_flag"),
        ("-c a.c -MD -Wp,-MMD,d", "unknown_flag"),
        # The source is their value.
        *((f"-c {flag} a.c", "unknown_flag") for flag in ("-l", "-framework", "-filelist", "-lazy_library")),
        # Another program is the assembler.
        ("-c a.c --target=nvptx64", "unknown_flag"),
        ("-c a.c -target xcore", "unknown_flag"),
        # The object names the output.
        ("-c a.c -g -gcodeview", "unknown_flag"),
        ("-c a.c -gcodeview-command-line", "unknown_flag"),
    ],
)
def test_what_passes_through(words: str, reason: str) -> None:
    with pytest.raises(Passed) as passed:
        read(words)
    assert passed.value.reason == reason


def test_response_files(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.write_text("'-DX=a b' -MD")
    (tmp_path / "outer").write_text(f"-c a.c @{inner}\n-O2")
    found = read(f"@{tmp_path}/outer -o x.o")
    assert found["flags"] == ["-DX=a b", "-O2"] and found["depfile"] == "x.d"
    inner.write_text("-DX=1\0-DY")  # clang sees the first word only
    with pytest.raises(Passed, match="response_file"):
        read(f"@{tmp_path}/outer")
    inner.write_text(f"@{tmp_path}/outer")
    with pytest.raises(Passed, match="response_file"):
        read(f"@{tmp_path}/outer")
