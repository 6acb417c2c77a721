"""A warm build is what a build with an empty cache would be, whatever clang's answer rests on."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faults import needs_strace
from harness import CLANG, build, clean_environment, needs_clang, needs_lld, run
from rules import write

pytestmark = needs_clang


@pytest.fixture
def space(tmp_path: Path) -> Path:
    folder = tmp_path / "space"
    folder.mkdir()
    return folder


# What is said where something is not kept


def test_reasons_are_shown(tmp_path: Path) -> None:
    write(tmp_path, {"a.c": "int main(void) { return __TIME__[0] == 'x'; }\n", "b.c": "int x;\n"})
    for _ in range(2):
        done = build(tmp_path, "a.c", "b.c", "-O1", "-o", "app")
        assert "app: not kept: a.c: it depends on the time of day\n" in done.stdout
        assert done.stats["not_kept"] == {"a.c": "it depends on the time of day"}
    assert done.stats["sources_unchanged"] == 1


# Modules


def test_modules_of_cplusplus(tmp_path: Path) -> None:
    """As clang does it: a module's interface that is named first leaves its .pcm for those that follow."""
    (tmp_path / "hello.cppm").write_text("export module hello;\nexport int hi() { return 3; }\n")
    (tmp_path / "main.cpp").write_text("import hello;\nint main() { return hi(); }\n")
    flags = ("-std=c++20", "-fprebuilt-module-path=.", "-O1", "-o", "app")
    for code in (3, 4, 4):
        text = (tmp_path / "hello.cppm").read_text()
        (tmp_path / "hello.cppm").write_text(re.sub("return .", f"return {code}", text))
        done = build(tmp_path, "hello.cppm", "main.cpp", *flags)
        assert run(tmp_path / "app").code == code
        assert set(done.stats["not_kept"]) == {"hello.cppm", "main.cpp"}


def test_a_compiled_module_that_changes(tmp_path: Path) -> None:
    (tmp_path / "main.cpp").write_text("import hello;\nint main() { return hi(); }\n")
    for code in (3, 4):
        (tmp_path / "hello.cppm").write_text(f"export module hello;\nexport int hi() {{ return {code}; }}\n")
        words = [CLANG, "-std=c++20", "--precompile", "hello.cppm", "-o", "hello.pcm"]
        subprocess.run(words, cwd=tmp_path, check=True)
        build(tmp_path, "main.cpp", "hello.pcm", "-std=c++20", "-fmodule-file=hello=hello.pcm", "-o", "app")
        assert run(tmp_path / "app").code == code


# Headers


def test_folders_with_names_of_headers(space: Path) -> None:
    """Clang passes over them, until there is a file in their place."""
    text = '#include "x.h"\n#if __has_include("y.h")\n#define Y 10\n#else\n#define Y 0\n#endif\n'
    write(space, {"main.c": f"{text}int main(void) {{ return X + Y; }}\n", "later/x.h": "#define X 2\n"})
    (space / "first/x.h").mkdir(parents=True)
    (space / "first/y.h").mkdir()
    words = ("main.c", "-Ifirst", "-Ilater", "-o", "app")
    time.sleep(0.03)
    for name, text, code in (("x.h", "#define X 3\n", 2), ("y.h", "", 3), ("z.h", "", 13)):
        build(space, *words)
        assert run(space / "app").code == code
        if (space / "first" / name).is_dir():
            (space / "first" / name).rmdir()
        (space / "first" / name).write_text(text)


def test_folders_of_data_that_end_in_slashes(space: Path) -> None:
    """Clang leaves them in names."""
    write(space, {"main.c": "int main(void) { return (char[]){\n#embed <data>\n}[0]; }\n", "b/data": "\2"})
    (space / "a").mkdir()
    words = ("main.c", "--embed-dir=a//", "--embed-dir=b//", "-w", "-o", "app")
    time.sleep(0.03)
    for code in (2, 3):
        build(space, *words)
        assert run(space / "app").code == code
        (space / "a/data").write_text("\3")


# Compilers


def test_a_wrapper_whose_helper_changes(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text("int main(void) { return CODE; }\n")
    (tmp_path / "helper").write_text("-DCODE=3\n")
    (tmp_path / "wrapper").write_text(f'#!/bin/sh\nexec {CLANG} $(cat {tmp_path}/helper) $MORE "$@"\n')
    (tmp_path / "wrapper").chmod(0o755)
    words = ("main.c", "--clang", "./wrapper", "-o", "app")
    time.sleep(0.03)
    build(tmp_path, *words)
    assert "up to date" in build(tmp_path, *words).stdout
    (tmp_path / "helper").write_text("-DCODE=4\n")
    build(tmp_path, *words)
    assert run(tmp_path / "app").code == 4
    build(tmp_path, *words, env={"MORE": "-UCODE -DCODE=5"})
    assert run(tmp_path / "app").code == 5
    build(tmp_path, *words)
    assert run(tmp_path / "app").code == 4
    # Whoever says so is believed.
    told = (*words, "--compiler-check", "string:1")
    build(tmp_path, *told)
    (tmp_path / "helper").write_text("-DCODE=6\n")
    assert "up to date" in build(tmp_path, *told).stdout


def test_a_command_that_tells_compilers_apart(tmp_path: Path) -> None:
    write(tmp_path, {"main.c": "int main(void) { return 0; }\n", "version": "1\n"})
    words = ("main.c", "-o", "app", "--compiler-check", "cat version # 1")
    time.sleep(0.03)
    assert build(tmp_path, *words[:-1], "cat %compiler%").exit_code == 0
    for version, unchanged in (("1", 0), ("1", 1), ("2", 0)):
        (tmp_path / "version").write_text(version)
        assert build(tmp_path, *words).stats["sources_unchanged"] == unchanged
    (tmp_path / "version").unlink()
    failed = build(tmp_path, *words, check=False)
    assert failed.exit_code == 2
    assert failed.stderr == "nativecache: error: --compiler-check: this failed: cat version # 1\n"


# What is changed while a build runs

#: Folders of which nothing is newer than the build, swapped; once, and there and back.
_SWAP = "mv inc spare; mv inc2 inc; mv spare inc2"


@pytest.mark.parametrize(
    "around",
    [
        pytest.param(f"$CLANG; {_SWAP}", id="after"),
        pytest.param(f"{_SWAP}; $CLANG; {_SWAP}", id="there-and-back"),
        pytest.param(f"$CLANG; {_SWAP}; touch inc/x; rm inc/x", id="hidden"),
        pytest.param("$CLANG; ln -sfn inc2 link", id="link"),
        pytest.param("$CLANG; mv spare one", id="earlier"),
    ],
)
@pytest.mark.parametrize("absolute", [False, True])
def test_folders_that_move_while_clang_runs(tmp_path: Path, around: str, absolute: bool) -> None:
    at = f"{tmp_path}/" if absolute else ""
    for n, name in enumerate(("inc", "inc2", "spare")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "v.h").write_text(f"#define V {n}\n")
    if "spare one" not in around:
        (tmp_path / "spare/v.h").unlink()
        (tmp_path / "spare").rmdir()
    (tmp_path / "link").symlink_to("inc")
    folder = "link" if "link" in around else "inc"
    (tmp_path / "main.c").write_text("#include <v.h>\nint main(void) { return V; }\n")
    around = around.replace("$CLANG", f'{CLANG} "$@"')
    wrapper = tmp_path / "clang"
    wrapper.write_text(
        f'#!/bin/sh\ncase "$*" in *-emit-llvm*) [ -e done ] || {{ {around}; touch done; exit; }} ;; esac\n'
        f'exec {CLANG} "$@"\n'
    )
    wrapper.chmod(0o755)
    time.sleep(0.03)
    words = ("main.c", f"-I{at}one", f"-I{at}{folder}", "--clang", str(wrapper), "-o", f"{at}app")
    first = build(tmp_path, *words)
    assert "main.c" in first.stats["not_kept"]
    build(tmp_path, *words)
    code = run(tmp_path / "app").code
    assert code == run(_fresh(tmp_path, *words)).code
    # Where something is installed meanwhile, it takes another one.
    assert any("up to date" in build(tmp_path, *words).stdout for _ in range(3))


def _fresh(folder: Path, *words: str) -> Path:
    """The image of a build without a cache."""
    build(folder, *words[:-1], "fresh", "--no-cache")
    return folder / "fresh"


# What clang reads

#: Below these, files belong to tools, which are known by other facts, or to the system.
_TOOLCHAIN = (
    "/usr/lib/llvm-22/bin/",
    "/usr/lib/gcc",
    "/lib/x86_64",
    "/usr/lib/x86_64",
    "/etc/",
    "/usr/lib/os-release",
    "/proc/",
    "/sys/",
    "/dev/",
)


@needs_strace
@pytest.mark.parametrize(
    ("files", "flags"),
    [
        (
            {
                "main.c": '#include "a.h"\n#include <stdio.h>\nchar d[] = {\n#embed "d.bin"\n};\n'
                'int main(void) { return A + B + C; }\n#if __has_include("f.h")\n#endif\n',
                "inc/a.h": "#define A 1\n",
                "b.h": "#define B 1\n",
                "c.h": "#define C 1\n",
                "f.h": "#define F 1\n",
                "d.bin": "x",
            },
            ("-std=gnu23", "-Iinc", "-include", "b.h", "-imacros", "c.h", "-g"),
        ),
        (
            {
                "main.cpp": "#include <vector>\nint main() { return (int)std::vector<int>().size(); }\n",
                "ign": "fun:f\n",
            },
            ("-fsanitize=address", "-fsanitize-ignorelist=ign"),
        ),
        (
            {"main.c": "int main(void) { return 0; }\n", "list": "fun:f\n", "map": "[unused]\nsrc:a\n"},
            ("-fxray-instrument", "-fxray-attr-list=list", "-Wunused", "--warning-suppression-mappings=map"),
        ),
    ],
    ids=["headers", "sanitizer", "lists"],
)
def test_every_file_that_clang_opens_is_known(
    space: Path, files: dict[str, str], flags: tuple[str, ...]
) -> None:
    (space / "inc").mkdir()
    names = [name for name in write(space, files) if name.startswith("main")]
    trace, stats = space / "trace", space / "stats.json"
    words = [
        sys.executable,
        "-m",
        "nativecache.cli.start",
        "build",
        *names,
        "--emit",
        "object",
        "-o",
        "out.o",
    ]
    words += [f"--cflag={flag}" for flag in flags]
    words += ["--stats-json", str(stats), "--cache-dir", str(space / "cache")]
    strace = ["strace", "-f", "-qq", "-z", "-e", "trace=open,openat,execve", "-o", str(trace), "-s", "500"]
    time.sleep(0.03)
    subprocess.run([*strace, *words], cwd=space, env=clean_environment(), check=True)
    opened = _opened_by_clang(trace.read_text(), space)
    assert any(path.startswith(f"{space}/main") for path in opened)
    known = {os.path.realpath(space / path) for path in _noted(space / "cache", space)}
    unknown = [path for path in opened if path not in known and not path.startswith(_TOOLCHAIN)]
    assert not unknown


def _opened_by_clang(trace: str, folder: Path) -> set[str]:
    """Files that compilations opened to read, by their real names."""
    clangs = set(re.findall(r'^(\d+) +execve\("[^"]*clang[^"]*", \[.*"-MD"', trace, re.MULTILINE))
    assert clangs
    found = set()
    for process, path, how in re.findall(
        r'^(\d+) +open\w*\((?:AT_FDCWD, )?"([^"]+)", ([A-Z_|]+)', trace, re.MULTILINE
    ):
        real = os.path.realpath(folder / path)
        if process in clangs and "O_WRONLY" not in how and "O_RDWR" not in how and os.path.isfile(real):
            found.add(real)
    return found


def _noted(cache: Path, folder: Path) -> set[str]:
    """The files that manifests in a cache folder name."""
    from nativecache.aot.front.manifest import read_manifest
    from nativecache.cache.file_store import FileStore
    from nativecache.cache.lookup import EntryStore

    store = EntryStore(FileStore(cache))
    found: set[str] = set()
    for path in cache.rglob("*.o"):
        entry = store.load(path.parent.name + path.stem)
        manifest = read_manifest(entry) if entry and b'"variants"' in entry.payload else None
        for facts, _ in manifest.variants if manifest else ():
            found.update(subjects[0] for kind, _, subjects in facts if kind in ("file", "program"))
    return found


# What linkers and assemblers read


def stays_as_clangs(space: Path, changed: dict[str, str], *words: str, before: int, after: int) -> None:
    """Builds, changes files, builds again: the program ends each time as clang's does."""
    for code in (before, after):
        time.sleep(0.03)
        build(space, *words, "-o", "app")
        subprocess.run([CLANG, *words, "-o", "clangs"], cwd=space, check=True, stderr=subprocess.DEVNULL)
        assert (run(space / "app").code, run(space / "clangs").code) == (code, code)
        write(space, changed)


@pytest.mark.parametrize("linker", ["bfd", pytest.param("lld", marks=needs_lld)])
@pytest.mark.parametrize(
    ("script", "option", "comes"),
    [
        ("one/s.ld", "one/s.ld", "near/sub/v.ld"),
        ("far/s.ld", "-Wl,-T,s.ld", "s.ld"),
    ],
)
def test_scripts_that_come_where_linkers_look_first(
    space: Path, linker: str, script: str, option: str, comes: str
) -> None:
    text = "PROVIDE(value = %d);\nSECTIONS {} INSERT AFTER .text;\n"
    included = text if script.startswith("far") else "INCLUDE sub/v.ld\n"
    files = {script: included.replace("%d", "3"), "far/sub/v.ld": text % 3, "near/sub/x": ""}
    write(space, files | {"m.c": "extern char value; int main(void) { return (long)&value; }\n"})
    words = ("m.c", "-no-pie", f"-fuse-ld={linker}", option, "-Lnear", "-Lfar")
    stays_as_clangs(space, {comes: text % 4}, *words, before=3, after=4)


@pytest.mark.parametrize(("name", "comes"), [("q.o", "q.o"), ("s/q.o", "near/s/q.o")])
def test_objects_that_come_where_scripts_find_them_first(space: Path, name: str, comes: str) -> None:
    write(space, {"one/i.ld": f"INPUT({name})\n", "m.c": "int f(void); int main(void) { return f(); }\n"})
    objects = {}
    for code in (3, 4):
        text = f"int f(void) {{ return {code}; }}\n"
        subprocess.run([CLANG, "-xc", "-", "-c", "-o", "new.o"], cwd=space, input=text.encode(), check=True)
        objects[code] = (space / "new.o").read_bytes()
    for path, code in ((f"far/{name}", 3), (comes, 3)):
        (space / path).parent.mkdir(parents=True, exist_ok=True)
        (space / path).write_bytes(objects[code])
    (space / comes).unlink()
    words = ("m.c", "one/i.ld", "-Lnear", "-Lfar")
    time.sleep(0.03)
    for code in (3, 4):
        build(space, *words, "-o", "app")
        subprocess.run([CLANG, *words, "-o", "clangs"], cwd=space, check=True)
        assert (run(space / "app").code, run(space / "clangs").code) == (code, code)
        (space / comes).write_bytes(objects[4])


def test_a_script_that_is_found_is_no_reason_to_link_again(space: Path) -> None:
    files = {"lib/v.ld": "PROVIDE(value = 3);\n", "s.ld": "INCLUDE v.ld\n", "m.c": "int main(void) {}\n"}
    write(space, files)
    time.sleep(0.03)
    words = ("m.c", "s.ld", "-Llib", "-o", "app")
    build(space, *words)
    assert "up to date" in build(space, *words).stdout


_INCLUDES = 'asm(".include \\"q.inc\\"");\nextern char k; int main(void) { return (long)&k; }\n'
_BINARY = (
    'asm(".data\\n.globl k\\nk: .incbin \\"q.bin\\"\\n.text"); extern char k; int main(void) { return k; }\n'
)
_DIALECTS = (
    'int main(void) { int r; asm(".pushsection .data\\n9: .{incbin|x} \\"q.bin\\"\\n.popsection\\n'
    'movl 9b(%%rip), %0" : "=r"(r)); return r & 127; }\n'
)
#: The directive is put together, of what one file says and another, or a flag.
_PIECES = (
    "#define READ(word) READ_(word)\n"
    '#define READ_(word) asm(".data\\n.globl k\\nk: \\n." #word " \\"q.bin\\"\\n.text");\n'
)
_VALUE = "extern char k; int main(void) { return k; }\n"
_WHOLE = ("-fsanitize=undefined",)


@pytest.mark.parametrize(
    ("source", "files", "changed", "words"),
    [
        (_INCLUDES, {"q.inc": '.include "r.inc"\n'}, "r.inc", ()),
        (_INCLUDES, {"near/x": "", "far/q.inc": ".globl k\nk = 65\n"}, "near/q.inc", ("-Inear", "-Ifar")),
        (_BINARY, {"near/x": "", "far/q.bin": "A"}, "near/q.bin", ("-Inear", "-isystem", "far")),
        (_BINARY.replace(".incbin", '." "incbin'), {"q.bin": "A"}, "q.bin", ("-fsanitize=undefined",)),
        (_DIALECTS, {"q.bin": "A..."}, "q.bin", ()),
        (_DIALECTS, {"q.bin": "A..."}, "q.bin", ("-fsanitize=undefined",)),
        (_PIECES + "READ(WORD)\n" + _VALUE, {"q.bin": "A"}, "q.bin", (*_WHOLE, "-DWORD=incbin")),
        ('#include "p.h"\nREAD(incbin)\n' + _VALUE, {"p.h": _PIECES, "q.bin": "A"}, "q.bin", _WHOLE),
    ],
)
def test_files_that_asm_reads_in_turn_or_finds(
    space: Path, source: str, files: dict[str, str], changed: str, words: tuple[str, ...]
) -> None:
    one, two = (f"{x}..." if changed.endswith("bin") else f".globl k\nk = {ord(x)}\n" for x in "AB")
    write(space, {"m.c": source, **files} | ({} if words[:1] == ("-Inear",) else {changed: one}))
    stays_as_clangs(space, {changed: two}, "m.c", "-no-pie", *words, before=65, after=66)


def test_an_assembler_that_changes(space: Path) -> None:
    text = '#!/bin/sh\nexec /usr/bin/as "$@" --defsym CODE=%d\n'
    write(space, {"m.s": ".globl main\nmain: movl $CODE, %eax\nret\n", "bin/as": text % 3})
    (space / "bin/as").chmod(0o755)
    words = ("m.s", "-Bbin", "-fno-integrated-as")
    stays_as_clangs(space, {"bin/as": text % 4}, *words, before=3, after=4)
