"""Project files: what they say, and the line about each that says something else."""

from pathlib import Path

import pytest

from nativecache.aot.errors import BuildError
from nativecache.cli.globs import Found
from nativecache.cli.option_table import INPUT
from nativecache.cli.project import find_project, in_order, line_of
from nativecache.cli.project_flags import BadFlags, read_flags, read_link_flags
from nativecache.cli.project_lines import target_line

TARGET = '[target.app]\nsources = ["a.c"]\n'


@pytest.fixture(autouse=True)
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.c").write_text("int main(void) { return 0; }\n")
    return tmp_path


def read_lines() -> None:
    project = find_project()
    assert project
    for target in project.targets.values():
        target_line(project, target, "", Found())


def problem(text: str, name: str = "nativecache.toml") -> str:
    """The one line that is said of a project file."""
    Path(name).write_text(text)
    with pytest.raises(BuildError) as raised:
        read_lines()
    (line,) = raised.value.problems
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("flagz = []\n" + TARGET, "nativecache.toml:1: unknown name 'flagz': did you mean 'flags'?"),
        (TARGET + "soruces = []\n", "nativecache.toml:3: unknown name 'soruces': did you mean 'sources'?"),
        (TARGET + 'clang = "x"\n', "nativecache.toml:3: 'clang' is not taken: a project file names no tools"),
        ('store = "x"\n' + TARGET, "nativecache.toml:1: 'store' is not taken"),
        (TARGET + 'kind = "dll"\n', "nativecache.toml:3: 'dll' is no kind of target; kinds are exe,"),
        (TARGET + 'flags = "-O2"\n', "nativecache.toml:3: 'flags' is to be a list of texts"),
        (TARGET + "flags = [2]\n", "nativecache.toml:3: 'flags' is to be a list of texts"),
        ("target = 3\n", "nativecache.toml:1: 'target' is to be a table"),
        ("[target.app]\n", "nativecache.toml:1: target 'app' has no sources"),
        ("", "nativecache.toml:1: no targets"),
        (TARGET + 'depends = ["lib"]\n', "nativecache.toml:3: there is no target 'lib'"),
        (
            '[target.a]\nsources = ["a.c"]\nkind = "archive"\ndepends = ["a"]\n',
            "toml:4: target 'a' depends on",
        ),
        (
            TARGET + '[target.b]\nsources = ["a.c"]\ndepends = ["app"]\n',
            "toml:5: target 'app' is an executable",
        ),
        (
            TARGET + '[target.b]\nsources = ["a.c"]\noutput = "./app"\n',
            "toml:5: './app' is the output of target 'app'",
        ),
        ('default-profile = "x"\n' + TARGET, "nativecache.toml:1: there is no profile 'x'"),
        ('[target.app]\nsources = ["a.c", "no/*.c"]\n', "toml:2: 'no/*.c': no file is there that it names"),
        ('[target.app]\nsources = ["b.c"]\n', "nativecache.toml:2: 'b.c': there is no such file"),
        (TARGET + 'flags-for."x.c" = ["-DX"]\n', "toml:3: 'x.c': no source of the target is named so"),
        (TARGET + 'flags-for."a.c" = ["--target=x"]\n', "toml:3: '--target=x' is for a whole target"),
        (
            TARGET + 'flags = ["-fplugin=x.so"]\n',
            "toml:3: '-fplugin=x.so': by it programs may be run or loaded",
        ),
        (TARGET + 'flags = ["-lm"]\n', "toml:3: '-lm' is not taken here: it is for the link"),
        (TARGET + 'flags = ["-c"]\n', "toml:3: '-c' is not taken here: say it on the command line"),
        (TARGET + 'flags = ["b.c"]\n', "toml:3: 'b.c' is no flag"),
        (TARGET + 'link-flags = ["-DX"]\n', "toml:3: '-DX' is not taken here: it is for clang"),
        ("a = [\n", "nativecache.toml: is no TOML: "),
    ],
)
def test_one_line_with_the_place_and_the_remedy(text: str, said: str) -> None:
    assert said in problem(text)


def test_in_pyproject(space: Path) -> None:
    (space / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert find_project() is None
    text = '[project]\nname = "x"\n\n[tool.nativecache.target.app]\nsources = ["a.c"]\n'
    assert "pyproject.toml:6: unknown name 'x'" in problem(text + "x = 1\n", "pyproject.toml")
    (space / "nativecache.toml").write_text(TARGET)
    project = find_project()
    assert project and project.file == "nativecache.toml"


@pytest.mark.parametrize(
    "flag",
    [
        *("-fplugin=x", "-fpass-plugin=x", "-Bdir", "-B", "--prefix=x", "-specs=x", "--specs=x", "-wrapper"),
        *(
            "@file",
            "--ld-path=x",
            "-fuse-ld=/x",
            "-Xclang",
            "-Xclang=-load",
            "-mllvm",
            "-Xlinker",
            "-Xassembler",
        ),
        *("-Wl,--plugin=x", "-Wl,-plugin,x", "-Wl,@x", "-Wp,-load,x", "-Wa,@x", "--config=x", "--cflag=-Bx"),
        *("--gcc-toolchain=x", "--sysroot=x", "-Xarch_host", "-Wl,-mllvm,-load=x", "--linker=x", "--clang=x"),
        *("-Wl,--load-pass-plugin=x", "-Wl,--thinlto-distributor=x", "--cache-dir=x", "--trust-cache-dir"),
    ],
)
def test_no_flag_names_what_is_run_or_trusted(flag: str) -> None:
    for read in (read_flags, read_link_flags):
        with pytest.raises(BadFlags, match=r"programs may be run or loaded|say it on the command line"):
            read([flag])


def test_names_that_would_be_options(space: Path) -> None:
    """A file is no flag, whatever it is called."""
    (space / "-fplugin=x.c").touch()
    (space / "nativecache.toml").write_text('[target.app]\nsources = ["*.c"]\n')
    project = find_project()
    assert project
    words = target_line(project, project.targets["app"], "", Found())
    assert [word.words[0] for word in words if word.place == INPUT] == ["./-fplugin=x.c", "a.c"]
    assert "'-Wl,-plugin,/x.so' is no library" in problem(TARGET + 'libraries = ["-Wl,-plugin,/x.so"]\n')
    assert "'-l@x' is no library" in problem(TARGET + 'libraries = ["-l@x"]\n')
    assert "'-Bx' cannot be an output" in problem(TARGET + 'output = "-Bx"\n')


def test_flags_that_are_taken() -> None:
    flags = ["-O2", "-g", "-I", "inc", "-Wp,-DX=1", "-mavx2", "-pthread", "-fuse-ld=lld", "-Wno-plugin"]
    assert len(read_flags(flags)) == 8
    assert len(read_link_flags(["-Wl,--gc-sections", "-static", "-L", "x", "-pthread"])) == 4


def test_targets_come_behind_what_they_depend_on(space: Path) -> None:
    (space / "nativecache.toml").write_text(
        TARGET + 'depends = ["b", "c"]\n'
        '[target.b]\nkind = "archive"\nsources = ["a.c"]\ndepends = ["c"]\nlibraries = ["m"]\n'
        '[target.c]\nkind = "archive"\nsources = ["a.c"]\nlibraries = ["z", "./x.a"]\n'
    )
    project = find_project()
    assert project and in_order(project.targets, ["app"]) == ["c", "b", "app"]
    words = [" ".join(word.words) for word in target_line(project, project.targets["app"], "", Found())]
    assert words == ["--emit=exe", "-oapp", "a.c", "libb.a", "-lm", "libc.a", "-lz", "./x.a"]


def test_the_line_of_keys() -> None:
    text = 'a = 1\n[b.c]\n# d = 2\n"d" = """\nx = 1\n"""\ne.f = [\n  "=",\n]\n[[g]]\nh = 2\n'
    places = {("a",): 1, ("b", "c"): 2, ("b", "c", "d"): 4, ("b", "c", "e", "f"): 7, ("g", "h"): 11}
    assert {keys: line_of(text, keys) for keys in places} == places
