"""A build that would repeat the last one is known by its record; each thing it rests on is a test."""

import os
import random
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from harness import CLANG, build, clean_environment, needs_clang, needs_lld, needs_mold, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rules import write

from nativecache.aot.codegen.libllvm import find_library
from nativecache.cache.dependencies import Dependency
from nativecache.cache.entry import Entry
from nativecache.cache.file_store import FileStore
from nativecache.cache.layout import entry_path
from nativecache.cache.lookup import EntryStore
from nativecache.cache.own_code import own_stamps
from nativecache.cli import commands, option_table, up_to_date
from nativecache.cli import main as command_line
from nativecache.cli.up_to_date import LIFETIME_SECONDS, Command, Record, check, encode_record, read_command

MAIN = '#include "value.h"\nint f(void);\nint main(void) { return f() + VALUE; }\n'


@dataclass
class Space:
    """A folder with a small program, built once before each question."""

    folder: Path
    environ: dict[str, str]
    words: tuple[str, ...] = ("main.c", "f.c", "-O1", "-o", "app")

    def command(self) -> Command | None:
        return read_command(["build", *self.words], self.environ)

    def build(self, *words: str) -> None:
        """Builds in full, and sees that the same again is known to be in vain."""
        self.words = words or self.words
        time.sleep(0.03)  # else the last change counts as made during the build
        assert not self.up_to_date()
        # Where clocks or folders of the machine changed meanwhile, a build is not believed: once in hundreds.
        for _ in range(3):
            build(self.folder, *self.words, env=self.environ)
            if self.up_to_date():
                return
        pytest.fail("a build that has nothing to do is not known to be such")

    def up_to_date(self) -> bool:
        command = self.command()
        return command is not None and check(command) is not None

    def record(self) -> Path:
        command = self.command()
        assert command
        return Path(entry_path(command.root, command.key))


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Space:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"main.c": MAIN, "f.c": "int f(void) { return 1; }\n", "value.h": "#define VALUE 2\n"})
    environ = clean_environment() | {"NATIVECACHE_DIR": str(tmp_path / "cache")}
    return Space(tmp_path, environ)


def same_time(path: str, text: str) -> None:
    """Writes a file and puts its modification time back."""
    before = Path(path).stat()
    Path(path).write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def obj(name: str, text: str) -> None:
    subprocess.run([CLANG, "-c", "-x", "c", "-", "-o", name], input=text.encode(), check=True)


# Inputs


@needs_clang
def test_nothing_changed(space: Space) -> None:
    space.build()
    for name in ("main.c", "value.h", "f.c"):
        text = Path(name).read_text()
        os.utime(name, (1, 1))
        assert space.up_to_date()
        Path(name).unlink()
        assert not space.up_to_date()
        Path(name).write_text(text)
        assert space.up_to_date()


@needs_clang
@pytest.mark.parametrize("name", ["main.c", "value.h", "f.c"])
def test_contents(space: Space, name: str) -> None:
    space.build()
    same_time(name, Path(name).read_text().replace("2", "3").replace("1", "3").replace("+", "-"))
    assert not space.up_to_date()


@needs_clang
def test_a_header_that_is_found_first(space: Space) -> None:
    write(space.folder, {"main.c": MAIN.replace('"value.h"', "<value.h>")})
    space.build("-Ione", "-I.", *space.words)
    Path("one").mkdir()
    assert space.up_to_date()
    Path("one/value.h").write_text("#define VALUE 5\n")
    assert not space.up_to_date()


@needs_clang
def test_ir_inputs(space: Space) -> None:
    write(space.folder, {"g.ll": "define i32 @g() {\n  ret i32 1\n}\n"})
    space.build(*space.words, "g.ll")
    same_time("g.ll", "define i32 @g() {\n  ret i32 2\n}\n")
    assert not space.up_to_date()


@pytest.mark.slow
@needs_clang
@pytest.mark.parametrize(
    "linker", ["bfd", pytest.param("lld", marks=needs_lld), pytest.param("mold", marks=needs_mold)]
)
def test_native_inputs_and_libraries(space: Space, linker: str) -> None:
    for name in ("a", "b", "c"):
        obj(f"{name}.o", f"int {name}(void) {{ return 1; }}\n")
    Path("lib").mkdir()
    subprocess.run(["ar", "rc", "lib/libc1.a", "c.o"], check=True)
    subprocess.run(["ar", "rc", "b.a", "b.o"], check=True)
    calls = "int a(void), b(void), c(void); int main(void) { return a() + b() + c(); }\n"
    write(space.folder, {"main.c": calls, "v.map": "{ global: main; local: *; };\n"})
    words = ("main.c", "a.o", "b.a", "-Lno", "-Llib", "-lc1", "-Wl,--version-script=v.map", "-o", "app")
    space.build(*words, "--linker", linker)
    for name in ("a.o", "b.a"):
        shutil.copy(name, "copy")
        Path("copy").rename(name)
        assert space.up_to_date()
    for name in ("a.o", "b.a", "lib/libc1.a", "v.map"):
        shutil.copy(name, "copy")
        with open(name, "ab") as file:
            file.write(b"\n")
        assert not space.up_to_date(), name
        Path("copy").rename(name)
    space.build()
    Path("no").mkdir()
    assert space.up_to_date()
    shutil.copy("lib/libc1.a", "no/libc1.so")
    assert not space.up_to_date()


@pytest.mark.slow
@needs_clang
@pytest.mark.parametrize(
    "words",
    [
        ("-L", "no", "-L", "lib", "-l", "c1"),
        ("-Wl,-L,no,-Llib", "-Xlinker", "-l", "-Xlinker", "c1"),
        ("--", "-Lno", "-L", "lib", "-l:libc1.a"),
    ],
)
def test_libraries_that_are_asked_for_in_other_ways(space: Space, words: tuple[str, ...]) -> None:
    for folder in ("no", "lib"):
        Path(folder).mkdir()
        obj("c.o", f"int c(void) {{ return {len(folder)}; }}\n")
        subprocess.run(["ar", "rc", f"{folder}/libc1.a", "c.o"], check=True)
    Path("no/libc1.a").rename("libc1.a")
    write(space.folder, {"main.c": "int c(void); int main(void) { return c(); }\n"})
    space.build("main.c", "-o", "app", *words)
    assert run(space.folder / "app").code == 3
    Path("libc1.a").rename("no/libc1.a")
    assert not space.up_to_date()
    space.build()
    assert run(space.folder / "app").code == 2


@needs_clang
def test_a_system_library_that_is_replaced(space: Space) -> None:
    """By one of the same size and time: that it is another file can be seen all the same."""
    obj("s.o", "int s(void) { return 1; }\n")
    subprocess.run([CLANG, "-shared", "s.o", "-o", "libs.so"], check=True)
    write(space.folder, {"f.c": "int s(void);\nint f(void) { return s(); }\n"})
    space.build(*space.words, "-L.", "-ls")
    shutil.copy2("libs.so", "copy")
    Path("copy").rename("libs.so")
    assert not space.up_to_date()


@pytest.mark.slow
@needs_clang
@pytest.mark.parametrize(
    "words", [("-Btools",), ("-B", "tools"), ("--prefix=tools",), ("--prefix", "tools"), ()]
)
@pytest.mark.parametrize("below", ["", "x86_64-linux-gnu/12"])
def test_what_drivers_take_from_folders_they_are_given(
    space: Space, words: tuple[str, ...], below: str
) -> None:
    """Start-up files and programs that no linker had named before they were there."""
    folder = space.folder / "tools" / below
    folder.mkdir(parents=True)
    (folder / "as").write_text("#!/bin/sh\n")
    if not words:  # only clang takes more than programs from there
        space.environ["COMPILER_PATH"] = str(space.folder / "tools")
    space.build(*space.words, *words, "--cc", CLANG)
    (folder / "crt1.o").write_text("")
    assert not space.up_to_date()
    (folder / "crt1.o").unlink()
    assert space.up_to_date()
    (folder / "as").write_text("#!/bin/sh\nexec as\n")
    assert not space.up_to_date()


# The image


@pytest.mark.slow
@needs_clang
def test_the_image(space: Space) -> None:
    for change in (
        lambda: Path("app").unlink(),
        lambda: Path("app").chmod(0o600),
        lambda: os.truncate("app", 100),
        lambda: Path("app").write_bytes(Path("app").read_bytes() + b"\n"),
    ):
        space.build()
        os.utime("app", (1, 1))
        assert space.up_to_date()
        change()
        assert not space.up_to_date()
    space.build()
    assert run(space.folder / "app").code == 3


@needs_clang
@pytest.mark.parametrize("kind", ["shared", "object", "archive", "asm", "bitcode"])
def test_other_outputs(space: Space, kind: str) -> None:
    space.build("main.c", "f.c", "--emit", kind, "-o", "out")
    Path("out").unlink()
    assert not space.up_to_date()


# Tools and surroundings


def tool(name: str, text: str = "") -> None:
    """A program that runs the one of the same name behind it on PATH."""
    Path("bin").mkdir(exist_ok=True)
    real = shutil.which(name)
    Path("bin", name).write_text(f'#!/bin/sh\n{text}\nexec {real} "$@"\n')
    Path("bin", name).chmod(0o755)


@pytest.mark.slow
@needs_clang
@pytest.mark.parametrize("name", [CLANG, "cc", "ld.mold", "ld.bfd"])
def test_tools(space: Space, name: str) -> None:
    space.environ["PATH"] = f"{space.folder}/bin:{space.environ['PATH']}"
    words = ("--linker", "bfd") if name == "ld.bfd" else ()
    space.build(*words, *space.words)
    tool("cat")
    assert space.up_to_date()
    if not shutil.which(name):
        pytest.skip(f"needs {name}")
    tool(name)
    assert not space.up_to_date()
    space.build()
    tool(name, "# newer")
    assert not space.up_to_date()


@needs_clang
def test_a_named_compiler(space: Space) -> None:
    tool(CLANG)
    space.build("--clang", f"bin/{CLANG}", *space.words)
    tool(CLANG, "# newer")
    assert not space.up_to_date()


@needs_clang
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CPATH", "."),
        ("INCLUDE", "."),
        ("NATIVECACHE_OPT", "2"),
        ("LIBRARY_PATH", "."),
        ("LD_LIBRARY_PATH", "."),
        ("SOURCE_DATE_EPOCH", "1"),
        ("NATIVECACHE_DIR", "elsewhere"),
        ("PATH", "/usr/bin"),
        ("NATIVECACHE_NO_CACHE", "1"),
        ("NATIVECACHE_VERBOSE", "1"),
    ],
)
def test_the_environment(space: Space, name: str, value: str) -> None:
    space.build()
    space.environ["TERM"] = "other"
    assert space.up_to_date()
    space.environ[name] = value
    assert not space.up_to_date()


@needs_clang
def test_the_folder_the_mask_and_ourselves(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    space.build()
    for name in ("main.c", "f.c", "value.h", "app"):
        Path("other").mkdir(exist_ok=True)
        shutil.copy2(name, "other")
    with monkeypatch.context() as patch:
        patch.chdir("other")
        assert not space.up_to_date()
    mask = os.umask(0o27)
    try:
        assert not space.up_to_date()
    finally:
        os.umask(mask)
    assert space.up_to_date()
    monkeypatch.setattr(up_to_date, "own_stamps", lambda: "edited")
    assert not space.up_to_date()


def test_own_code_is_all_of_it() -> None:
    listed = own_stamps()
    for name in ("aot/build.py", "cache/dependencies.py", "cli/start.py", "linker/driver.py"):
        assert f"{name} " in listed


# No record


@needs_clang
@pytest.mark.parametrize(
    "words",
    [
        ("-v",),
        ("-Wl,-Map=out.map",),
        ("--", "-fuse-ld=bfd"),
        ("-Btools/x-",),  # a beginning of names
        ("-march=native",),
        ("--cflag=-MMD",),
        ("thin.a",),
        ("date.c",),
        ("asm.s",),
        ("blob.c",),
    ],
)
def test_builds_that_rest_on_more(space: Space, words: tuple[str, ...]) -> None:
    obj("t.o", "int t(void) { return 1; }\n")
    subprocess.run(["ar", "rcT", "thin.a", "t.o"], check=True)
    blob = '__asm__(".section .rodata\\nblob: .incbin \\"value.h\\"\\n.text\\n");\n'
    write(
        space.folder,
        {"date.c": "const char *d = __DATE__;\n", "asm.s": '.data\n.incbin "value.h"\n', "blob.c": blob},
    )
    time.sleep(0.03)
    build(space.folder, *space.words, *words, env=space.environ)
    space.words = (*space.words, *words)
    assert not space.up_to_date()


@needs_clang
@pytest.mark.parametrize(
    "change", ["echo >> value.h", "echo >> f.c", "mkdir -p one; cp value.h one/$$; mv one/$$ one/value.h"]
)
def test_what_changes_during_the_build(space: Space, change: str) -> None:
    """After clang has read it, or it alone knows when."""
    write(space.folder, {"main.c": MAIN.replace('"value.h"', "<value.h>")})
    tool(CLANG)
    space.words = ("--clang", f"bin/{CLANG}", "-Ione", "-I.", *space.words)
    text = Path("bin", CLANG).read_text().replace("exec ", "").replace("\n", "\n")
    Path("bin", CLANG).write_text(f'{text}case "$*" in *-emit-llvm*) {change};; esac\n')
    time.sleep(0.03)
    build(space.folder, *space.words, env=space.environ)
    assert not space.up_to_date()


@needs_clang
@pytest.mark.parametrize("kind", ["exe", "object", "bitcode"])
def test_another_build_that_writes_the_same_output(
    space: Space, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Just after this one: what then is there is not what this one made."""
    replaced = os.replace

    def replace(source: str, target: str) -> None:
        replaced(source, target)
        if str(target).endswith("app"):
            with open(target, "ab") as file:
                file.write(b"other")

    monkeypatch.setattr(os, "replace", replace)
    space.words = ("main.c", "f.c", "--emit", kind, "-o", "app", "-q")
    for name in set(os.environ) - set(space.environ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("NATIVECACHE_DIR", space.environ["NATIVECACHE_DIR"])
    for _ in range(3):  # where something else on the machine changed meanwhile, nothing is noted
        time.sleep(0.03)
        with pytest.raises(SystemExit, match="0"):
            command_line.main(["build", *space.words])
        if space.record().exists():
            break
    assert space.record().exists() and not space.up_to_date()


@needs_clang
def test_a_link_to_another_library_of_llvms(space: Space) -> None:
    library = find_library("auto", (22, 1), shutil.which(CLANG))
    if library is None:
        pytest.skip("needs LLVM's shared library")
    real = os.path.realpath(library.path)
    Path("link.so").symlink_to(real)
    space.build("--llvm", "./link.so", *space.words)
    Path("link.so").unlink()
    Path("other.so").symlink_to(real)
    Path("link.so").symlink_to("other.so")
    assert space.up_to_date()
    Path("link.so").unlink()
    shutil.copy(real, "link.so")
    assert not space.up_to_date()


@needs_clang
def test_a_failed_build_leaves_none(space: Space) -> None:
    space.build()
    write(space.folder, {"f.c": "int f(void) { return }\n"})
    assert build(space.folder, *space.words, env=space.environ, check=False).exit_code == 1
    assert not space.up_to_date()


@needs_clang
def test_a_record_of_yesterday(space: Space) -> None:
    space.build()
    for age in (LIFETIME_SECONDS + 60, -LIFETIME_SECONDS - 60):
        os.utime(space.record(), (time.time() - age,) * 2)
        assert not space.up_to_date()


# Damage


@pytest.fixture
def kept(space: Space) -> Space:
    """With a record that rests on one file."""
    dependencies: list[Dependency] = [Dependency("file", "", ("missing",))]
    command = space.command()
    assert command
    entry = Entry(command.key, encode_record(Record("app", "{}", ["one", "two"], dependencies)), {})
    EntryStore(FileStore(Path(command.root))).save(entry)
    return space


def test_a_record_comes_back_as_it_was(kept: Space) -> None:
    command = kept.command()
    found = check(command) if command else None
    assert found and (found.line, found.figures, found.warnings) == ("app", "{}", ["one", "two"])
    assert found.dependencies == [Dependency("file", "", ("missing",))]


def test_damaged_records(kept: Space) -> None:
    path = kept.record()
    good = path.read_bytes()
    chance = random.Random(1)
    for n in range(len(good)):
        for bad in (good[:n], good[:n] + bytes([good[n] ^ (1 << chance.randrange(8))]) + good[n + 1 :]):
            path.write_bytes(bad)
            assert not kept.up_to_date()
    path.unlink()
    path.mkdir()
    assert not kept.up_to_date()
    path.rmdir()
    assert not kept.up_to_date()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(), st.lists(st.sampled_from(["file", "", "1", "2", "-1", "x", "found"])).map("\0".join)
    )
)
def test_strange_records(kept: Space, payload: bytes | str) -> None:
    """Well-formed entries of another meaning."""
    command = kept.command()
    assert command
    data = payload.encode() if isinstance(payload, str) else payload
    EntryStore(FileStore(Path(command.root))).save(Entry(command.key, data, {}))
    kept.up_to_date()


def test_a_text_with_a_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        encode_record(Record("app", "{}", ["a\0b"], []))


# Commands


def read(*words: str, **environ: str) -> Command | None:
    return read_command(["build", *words], {"NATIVECACHE_DIR": "/nowhere", **environ})


def test_words_that_change_only_what_is_said() -> None:
    plain = read("a.c", "-o", "b", "--", "-q")
    assert plain and not plain.quiet and not plain.timings and plain.stats == ""
    for words in (("-q",), ("--quiet",), ("--timings",), ("--stats-json", "s"), ("--stats-json=s",)):
        command = read(*words, "a.c", "-o", "b", "--", "-q")
        assert command and command.key == plain.key
        assert (command.quiet, command.timings, command.stats) == (
            "q" in words[0][1:3],
            words[0] == "--timings",
            "s" if len(words) > 1 or "=" in words[0] else "",
        )
    for name, value in (("QUIET", "yes"), ("TIMINGS", "1"), ("STATS_JSON", "s"), ("THREADS", "3")):
        command = read("a.c", "-o", "b", "--", "-q", **{f"NATIVECACHE_{name}": value})
        assert command and command.key == plain.key


def test_words_that_change_more() -> None:
    keys = [read("a.c", *words) for words in ((), ("-O1",), ("-O", "1"), ("--", "-lm"), ("-lm",), ("-j2",))]
    assert len({command.key for command in keys if command}) == len(keys)


@pytest.mark.parametrize(
    "words",
    [
        ("-v",),
        ("-vq",),
        ("-qv",),
        ("--verbose",),
        ("--help",),
        ("--no-cache",),
        ("--cache-mode", "refresh"),
        ("--cache-mode=read-only",),
        ("--verify",),
        ("--verify=5",),
        ("-o", "-q"),
        ("--cflag", "--timings"),
        ("-I", "--stats-json"),
        ("--cpu", "native"),
        ("-march=native",),
        ("--cflag=-mcpu=native",),
        ("--cflag=@file",),
        ("--", "@file"),
        ("-Wl,@file",),
    ],
)
def test_words_that_are_left_to_a_full_build(words: tuple[str, ...]) -> None:
    assert read("a.c", *words) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("QUIET", "maybe"),
        ("TIMINGS", "2"),
        ("CPU", "native"),
        ("CACHE_MODE", "refresh"),
        ("VERIFY", "5"),
        ("CFLAGS", "-w -march=native"),
        ("CFLAGS", "@f"),
    ],
)
def test_settings_that_are_left_to_a_full_build(name: str, value: str) -> None:
    assert read("a.c", **{f"NATIVECACHE_{name}": value}) is None


def test_other_commands() -> None:
    assert read_command(["--help"], {}) is None and read_command([], {}) is None


def test_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    roots = [
        read("a.c"),
        read("a.c", "--cache-dir", "here"),
        read("a.c", "--cache-dir=here"),
        read("a.c", "--", "--cache-dir=here"),
    ]
    assert [command and command.root for command in roots] == [
        "/nowhere",
        *[f"{tmp_path}/here"] * 2,
        "/nowhere",
    ]


def test_all_options_with_a_value_are_known() -> None:
    options = [p for p in commands.build.params if isinstance(p, click.Option) and not p.is_flag]
    names = {name for option in options for name in option.opts}
    # The level is read like clang's; `--verify` takes a value behind an equals sign only.
    assert names - {"-O", "--verify", "--cflag", "--std", "-I", "-D", "-U"} == option_table.VALUED
    flags = [p for p in commands.build.params if isinstance(p, click.Option) and p.is_flag]
    assert {name for flag in flags for name in flag.opts} | {"-h", "--help"} == option_table.FLAGS
