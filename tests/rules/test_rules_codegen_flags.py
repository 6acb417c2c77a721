"""Flags of clang's back end show in the image, or beside it, as they do when clang builds alone."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from harness import CLANG, build, needs_clang, run
from rules import Build, write

from nativecache.aot.codegen.flags import beyond_ir
from nativecache.aot.codegen.llvm import Llvmlite, find_engine
from nativecache.aot.key import Options

pytestmark = needs_clang

SOURCE = (
    "int zero[100]; _Thread_local int local = 3;\n"
    "float many(float *a, int n) { float s = 0; for (int i = 0; i < n; i++) a[i] = a[i] * 2; return s; }\n"
    "__attribute__((noinline)) int f(int x) { return x * 3 + zero[x]; }\n"
    "int main(void) { float a[4] = {0}; many(a, 4); return f(1) + local - 6; }\n"
)
OPTIONS = Options("x86_64-pc-linux-gnu", "", "", 2, True, "pic", "default", output="assembly")


def sections(image: Path) -> dict[str, int]:
    """The sizes of an image's sections."""
    text = subprocess.run(
        ["readelf", "-SW", image], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    rows = (line.partition("]")[2].split() for line in text.splitlines() if "[" in line and "." in line)
    return {row[0]: int(row[4], 16) for row in rows if len(row) > 5}


def symbols_in(image: Path) -> str:
    return subprocess.run(["nm", image], capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.parametrize(
    ("flag", "section"),
    [
        ("-fstack-size-section", ".stack_sizes"),
        ("-fforce-dwarf-frame", ".debug_frame"),
        ("-fbasic-block-address-map", ".llvm_bb_addr_map"),
    ],
)
def test_a_section_is_there(tmp_path: Path, flag: str, section: str) -> None:
    write(tmp_path, {"a.c": SOURCE})
    words = ["a.c", flag, "-fno-asynchronous-unwind-tables", "-O2", "-o", "app"]
    done = Build.start(tmp_path, tmp_path, *words).result()
    assert done.stats["whole"] == ["a.c"]
    assert f"compiled whole by clang, for IR does not tell {flag}: a.c" in done.stdout
    assert section in sections(tmp_path / "app")
    assert run(tmp_path / "app").code == 0


def test_zeros_are_data(tmp_path: Path) -> None:
    write(tmp_path, {"a.c": SOURCE})
    Build.start(tmp_path, tmp_path, "a.c", "-fno-zero-initialized-in-bss", "-o", "app").result()
    assert " d zero\n" in symbols_in(tmp_path / "app").replace(" D ", " d ")


@pytest.mark.parametrize("model", ["small", "kernel", "medium", "large"])
def test_data_is_large_where_it_is_in_clangs_objects(tmp_path: Path, model: str) -> None:
    text = "int small[4] = {1, 2}, zero[4], large[20000]; const int constant[4] = {3};\n"
    write(tmp_path, {"a.c": text + "int f(int n) { return small[n] + zero[n] + large[n] + constant[n]; }\n"})
    words = ["a.c", "-O2", f"-mcmodel={model}", "-c"]
    Build.start(tmp_path, tmp_path, *words, "-o", "ours.o").result()
    subprocess.run([CLANG, *words, "-o", "clangs.o"], cwd=tmp_path, check=True, timeout=60)
    ours, clangs = (
        {name for name in sections(tmp_path / file) if re.match(r"\.l?(?:data|bss|rodata)", name)}
        for file in ("ours.o", "clangs.o")
    )
    assert ours == clangs


def test_small_data_is_in_reach_of_code_of_the_small_model(tmp_path: Path) -> None:
    (tmp_path / "get.c").write_text("extern int zero, small; int get(void) { return zero + small; }\n")
    command = [CLANG, "-O2", "-fno-pic", "-c", "get.c"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    text = (
        "char big[3UL << 30]; int zero, small = 3; int get(void);\n"
        "int main(int c, char **v) { big[c * 0x7fffffffUL] = 5; zero = 2;"
        " return get() + big[c * 0x7fffffffUL] - 10; }\n"
    )
    write(tmp_path, {"main.c": text})
    words = ["main.c", "get.o", "-O2", "-mcmodel=medium", "-fno-pic", "-no-pie", "-o", "app"]
    Build.start(tmp_path, tmp_path, *words).result()
    assert run(tmp_path / "app").code == 0


def test_files_beside_the_image_are_where_clang_writes_them(tmp_path: Path) -> None:
    """And are written again though nothing else is to be done."""
    flags = [
        "-fstack-usage",
        "-ftime-trace",
        "-fsave-optimization-record",
        "-ftest-coverage",
        "-fprofile-arcs",
    ]
    (tmp_path / "theirs").mkdir()
    (tmp_path / "ours").mkdir()
    for folder in ("theirs", "ours"):
        write(tmp_path / folder, {"a.c": SOURCE})
    command = [CLANG, "a.c", *flags, "-O2", "-o", "app"]
    subprocess.run(command, cwd=tmp_path / "theirs", check=True, timeout=60)
    expected = {path.name for path in (tmp_path / "theirs").iterdir()}
    assert {"app.su", "app-a.json", "a.opt.yaml", "app-a.gcno"} < expected
    space = tmp_path / "ours"
    for _ in range(2):
        Build.start(space, tmp_path, "a.c", *flags, "-O2", "-o", "app").result()
        assert {path.name for path in space.iterdir()} == expected
        assert (space / "app.su").read_bytes() == (tmp_path / "theirs" / "app.su").read_bytes()
        run(space / "app")
        assert (space / "app-a.gcda").exists()
        for path in space.iterdir():
            if path.name != "a.c":
                path.unlink()


@pytest.mark.parametrize(
    "words",
    [
        "-c --coverage -o sub/y.o",
        "-c -ftest-coverage -fprofile-arcs -fprofile-dir=profiles -o y.x.o",
        "-c -fstack-usage -ftime-trace=sub/ -fsave-optimization-record",
        "-c -ftime-trace -Wp,-MD,F.d,-MT,T -O5 -o y.o",
        "-r --coverage -fstack-usage -o sub/z.o",
    ],
)
def test_files_beside_an_object_are_where_clang_writes_them(tmp_path: Path, words: str) -> None:
    found = []
    for folder in ("theirs", "ours"):
        space = tmp_path / folder
        (space / "sub").mkdir(parents=True)
        write(space, {"a.c": SOURCE})
        flags = ["a.c", "-O2", *words.split()]
        if folder == "theirs":
            subprocess.run([CLANG, *flags], cwd=space, check=True, timeout=60)
        else:
            Build.start(space, tmp_path, *flags).result()
        files = {str(path.relative_to(space)): path for path in space.glob("**/*") if path.is_file()}
        (obj,) = (path for name, path in files.items() if name.endswith(".o"))
        data = re.findall(rb"[^\0]*\.gcda", obj.read_bytes().replace(folder.encode(), b"FOLDER"))
        texts = {name: path.read_bytes() for name, path in files.items() if name.endswith((".su", ".d"))}
        found.append((sorted(files), data, texts))
    assert found[0] == found[1]


def test_the_command_is_noted_without_what_differs_every_time(tmp_path: Path) -> None:
    write(tmp_path, {"a.c": SOURCE})
    words = ["a.c", "-g", "-grecord-gcc-switches", "-O2", "-o", "app"]
    done = Build.start(tmp_path, tmp_path, *words).result()
    image = (tmp_path / "app").read_bytes()
    assert done.stats["whole"] == []
    assert b" -O2 -g -grecord-gcc-switches -c a.c\0" in image
    done = Build.start(tmp_path, tmp_path, *words, "-frecord-command-line").result()
    assert done.stats["whole"] == ["a.c"] and ".GCC.command.line" in sections(tmp_path / "app")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["-fstack-usage", "--emit=archive"], "-fstack-usage: has clang write files beside each object"),
        (["-fsanitize=undefined", "--emit=asm"], "-fsanitize=undefined: is for clang's own back end"),
        (["-fstack-size-section", "--emit=bitcode"], "-fstack-size-section: is for clang's own back end"),
    ],
)
def test_what_cannot_be_honoured_is_refused(tmp_path: Path, words: list[str], reason: str) -> None:
    write(tmp_path, {"a.c": SOURCE})
    build = Build.start(tmp_path, tmp_path, "a.c", *words, "-o", "out")
    build.process.join()
    assert build.process.exitcode == 2
    (line,) = build.log.read_text().splitlines()
    assert line.startswith(f"nativecache: error: {reason}") and not (tmp_path / "out").exists()


@pytest.mark.parametrize("engine", ["auto", "llvmlite"])
def test_unrolling_is_tuned_as_clang_does(tmp_path: Path, engine: str) -> None:
    """The code is the one that clang makes of the same IR with the same flags."""
    (tmp_path / "a.c").write_text(SOURCE)
    command = [CLANG, "-O2", "-w", "-S", str(tmp_path / "a.c"), "-o", "-"]

    def clang(*flags: str) -> str:
        return subprocess.run(
            [*command, *flags], capture_output=True, text=True, check=True, timeout=60
        ).stdout

    bitcode = Llvmlite().unit_bitcode(clang("-emit-llvm", "-Xclang", "-disable-llvm-passes"))
    llvm = find_engine(engine, CLANG)
    ours = [llvm.emit(bitcode, replace(OPTIONS, unroll=unroll)).decode() for unroll in (None, False)]
    theirs = [clang(), clang("-fno-unroll-loops")]
    assert [instructions(text, "many") for text in ours] == [instructions(text, "many") for text in theirs]
    assert ours[0] != ours[1]


def instructions(assembly: str, name: str) -> list[str]:
    body = assembly.partition(f"\n{name}:")[2].partition("\n.Lfunc_end")[0]
    lines = (line.partition("#")[0].split() for line in body.splitlines())
    return [words[0] for words in lines if words and not words[0].startswith(".")]


def test_the_build_tunes_unrolling_and_leaves_vectorising_to_clang(tmp_path: Path) -> None:
    write(tmp_path, {"a.c": SOURCE})
    texts = []
    for flag in ("-O2", "-fno-unroll-loops"):
        words = ["a.c", "-O2", flag, "--emit=asm", "-o", "out.s"]
        assert Build.start(tmp_path, tmp_path, *words).result().stats["whole"] == []
        texts.append(instructions((tmp_path / "out.s").read_text(), "many"))
    assert texts[0].count("addps") == 2 and texts[1].count("addps") == 1
    whole = Build.start(tmp_path, tmp_path, "a.c", "-O2", "-fno-vectorize", "-o", "app").result()
    assert whole.stats["whole"] == ["a.c"]


#: A sample of what the table takes for IR; all of it was tried when the table was made.
SAMPLE = (
    "-fno-jump-tables -fstack-clash-protection -fzero-call-used-regs=used -fno-plt -mno-red-zone -fwrapv "
    "-fno-optimize-sibling-calls -mrecip=all -fno-unwind-tables -falign-functions=64 -fcf-protection=full"
)


@pytest.mark.parametrize("flag", SAMPLE.split())
def test_bare_ir_gives_clangs_object(tmp_path: Path, flag: str) -> None:
    (tmp_path / "a.c").write_text(SOURCE)
    bare = [flag, "-S", "-emit-llvm", "-Xclang", "-disable-llvm-passes"]
    for words in (
        [flag, "-c", "a.c", "-o", "theirs.o"],
        [*bare, "a.c", "-o", "bare.ll"],
        ["-c", "bare.ll", "-o", "ours.o"],
    ):
        subprocess.run([CLANG, "-O2", "-w", *words], cwd=tmp_path, check=True, timeout=60)
    assert (tmp_path / "ours.o").read_bytes() == (tmp_path / "theirs.o").read_bytes()
    assert beyond_ir([flag]) == ()


def test_flags_in_configuration_files_reach_back_end_and_link(tmp_path: Path) -> None:
    write(tmp_path, {"a.c": SOURCE})
    (tmp_path / "my.cfg").write_text("-fstack-size-section @more.cfg $-Wl,-z,now\n")
    for words in ("-mdaz-ftz", "-fsanitize=undefined"):
        (tmp_path / "more.cfg").write_text(words)
        command = ["a.c", "--config=./my.cfg"]
        Build.start(tmp_path, tmp_path, *command, "-o", "ours").result()
        subprocess.run([CLANG, *command, "-o", "theirs"], cwd=tmp_path, check=True, timeout=60)
        found = []
        for image in (tmp_path / "ours", tmp_path / "theirs"):
            assert run(image).code == 0
            dynamic = subprocess.run(
                ["readelf", "-dW", image], capture_output=True, text=True, check=True, timeout=60
            ).stdout
            names = ("set_fast_math", "__ubsan_handle_add_overflow")
            symbols = symbols_in(image)
            shown = tuple(name in symbols for name in names)
            found.append((".stack_sizes" in sections(image), "NOW" in dynamic, shown))
        assert found[0] == found[1] and found[0][:2] == (True, True)


@pytest.mark.parametrize("kept", [True, False])
def test_flags_in_default_configuration_files(tmp_path: Path, *, kept: bool) -> None:
    """They come and go beside clang, where it looks by itself; without a cache it is asked in another way."""
    real = Path(shutil.which(CLANG) or "").resolve()
    clang = tmp_path / "bin" / "clang"
    clang.parent.mkdir()
    shutil.copy(real, clang)
    (tmp_path / "lib").symlink_to(real.parent.parent / "lib")
    write(tmp_path, {"a.c": SOURCE, "b.c": "int other;"})
    file = clang.parent / "clang.cfg"
    command = ["a.c", "b.c", "-O1"]
    cache = () if kept else ("--no-cache",)
    for words in ("", "-mdaz-ftz", "-fstack-size-section", "-no-pie -fsanitize=undefined $-Wl,-z,now", ""):
        file.write_text(words)
        if not words:
            file.unlink()
        Build.start(tmp_path, tmp_path, *command, *cache, "--clang", clang, "-o", "ours").result()
        subprocess.run([clang, *command, "-o", "theirs"], cwd=tmp_path, check=True, timeout=60)
        found = []
        for image in (tmp_path / "ours", tmp_path / "theirs"):
            assert run(image).code == 0
            names = ("set_fast_math", "__ubsan_handle_add_overflow")
            symbols = symbols_in(image)
            shown = [*(name in symbols for name in names), ".stack_sizes" in sections(image)]
            found.append([*shown, image.read_bytes()[16]])  # the ELF type tells position independent ones
        assert found[0] == found[1], words


def test_default_configuration_file_that_cannot_be_honoured(tmp_path: Path) -> None:
    write(tmp_path, {"a.c": SOURCE})
    (tmp_path / "clang.cfg").write_text("-S\n")
    done = build(tmp_path, "a.c", f"--cflag=--config-system-dir={tmp_path}", check=False)
    assert done.exit_code == 2
    assert "'-S' is not taken" in done.stderr
    assert f"{tmp_path}/clang.cfg is read by clang: --no-default-config" in done.stderr


@pytest.mark.parametrize("words", ["-Og", "-Og -fextend-variable-liveness=none", "-Og -O1", "-Os -Og -g"])
def test_code_for_debuggers_is_clangs(tmp_path: Path, words: str) -> None:
    """Variables live on at -Og, which at -O1 do not."""
    write(tmp_path, {"a.c": SOURCE})
    build(tmp_path, "a.c", *words.split(), "--emit", "object", "-o", "ours.o")
    subprocess.run(
        [CLANG, "a.c", *words.split(), "-c", "-o", "clang.o"], cwd=tmp_path, check=True, timeout=60
    )
    texts = [
        subprocess.run(
            ["objdump", "-d", "--no-show-raw-insn", "--disassemble=many", tmp_path / name],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for name in ("ours.o", "clang.o")
    ]
    ours, theirs = (re.findall(r":\t(\w+)", text.partition("ret")[0]) for text in texts)
    assert ours and ours == theirs
