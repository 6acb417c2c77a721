"""Other targets than the machine's own: built where that is right, else refused from their triple."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import CLANG, needs, needs_clang, needs_lld
from rules import Build, write

from nativecache.aot.codegen import llvm
from nativecache.aot.key import Options

pytestmark = [needs_clang]

FILES = {
    "a.c": "int twice(int x) { return 2 * x; }\nint seen = 3;\n",
    "b.c": """
        int twice(int);
        extern int seen;
        static _Thread_local int local = 4;
        __attribute__((constructor)) static void first(void) { seen++; }
        int start(void) { local += twice(seen); return local; }
        """,
}


def refused(space: Path, *words: str) -> str:
    """What a build says that fails with exit code 1: one line; nothing is written."""
    build = Build.start(space, space, *words, "-o", "image")
    build.process.join()
    assert build.process.exitcode == 1, build.log.read_text()
    assert not (space / "image").exists() and not list(space.glob(".image*"))
    (line,) = build.log.read_text().splitlines()
    return line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--target i686-linux-gnu", "a.c: there are no objects for i686-unknown-linux-gnu, only 64-bit"),
        ("--cflag=--target=s390x-linux-gnu", "a.c: there are no objects for s390x-unknown-linux-gnu"),
        ("--target bpf --emit object", "a.c: there are no objects for bpf"),
        ("--target wasm32 --emit asm", "a.c: assembly for wasm32 cannot be put together"),
        ("-m32", "a.c: -m32 asks for a target of 32 bits"),
        ("-mx32 --emit shared", "a.c: -mx32 asks for a target of 32 bits"),
    ],
)
def test_refused_before_clang_runs(tmp_path: Path, words: str, says: str) -> None:
    (tmp_path / "a.c").write_text("#error clang was started\n")
    assert refused(tmp_path, "a.c", *words.split()).startswith(f"nativecache: error: {says}")


def test_ir_of_other_targets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "arm.ll").write_text(
        'target triple = "armv7-linux-gnueabihf"\ndefine void @f() {\n  ret void\n}\n'
    )
    assert refused(tmp_path, "arm.ll").startswith(
        "nativecache: error: arm.ll: there are no objects for armv7-"
    )


@needs_lld
@pytest.mark.parametrize("machine", ["aarch64", "riscv64", "loongarch64", "powerpc64le"])
def test_objects_of_targets_that_are_not_run_here(tmp_path: Path, machine: str) -> None:
    """With debug information; the symbols are those of the sources, the object is one for the machine."""
    sources = write(tmp_path, FILES)
    words = [*sources, "--target", f"{machine}-linux-gnu", "-g", "-O2", "--emit", "object"]
    Build.start(tmp_path, tmp_path, *words, "-o", "all.o").result()
    numbers = {"aarch64": 183, "riscv64": 243, "loongarch64": 258, "powerpc64le": 21}
    data = (tmp_path / "all.o").read_bytes()
    assert data[:6] == b"\x7fELF\x02\x01" and int.from_bytes(data[18:20], "little") == numbers[machine]
    table = subprocess.run(
        ["readelf", "-sW", "all.o"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    named = re.findall(r" GLOBAL +DEFAULT +(?:\[.*\] +)?\d+ (\w+)$", table.stdout, re.MULTILINE)
    assert sorted(named) == ["seen", "start", "twice"]


@pytest.mark.parametrize(
    "target", ["i686-linux-gnu", "armv7-linux-gnueabihf", "s390x-linux-gnu", "aarch64-linux-gnu"]
)
def test_assembly_of_elf_targets_assembles(tmp_path: Path, target: str) -> None:
    sources = write(tmp_path, FILES)
    Build.start(tmp_path, tmp_path, *sources, "--target", target, "--emit", "asm", "-o", "all.s").result()
    subprocess.run([CLANG, f"--target={target}", "-c", "all.s"], cwd=tmp_path, check=True, timeout=60)
    text = (tmp_path / "all.s").read_text()
    assert "nc.0" not in text and "twice:" in text


@pytest.mark.parametrize(
    "target", ["x86_64-apple-darwin", "x86_64-pc-windows-msvc", "wasm32", "i686-linux-gnu"]
)
def test_bitcode_of_all_targets(tmp_path: Path, target: str) -> None:
    """clang makes an object of it."""
    (tmp_path / "a.c").write_text(FILES["a.c"])
    Build.start(tmp_path, tmp_path, "a.c", "--target", target, "--emit", "bitcode", "-o", "all.bc").result()
    command = [CLANG, f"--target={target}", "-Wno-override-module", "-c", "all.bc"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)


LAYOUTS = {
    "x86_64-pc-linux-gnu": "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-f80:128-n8:16:32:64-S128",
    "x86_64-unknown-linux-gnu": "e-m:e-i64:64-f80:128-n8:16:32:64-S128",
    "aarch64-unknown-linux-gnu": "e-m:e-i8:8:32-i16:16:32-i64:64-i128:128-n32:64-S128",
    "riscv64-unknown-linux-gnu": "e-m:e-p:64:64-i64:64-i128:128-n64-S128",
    "loongarch64-unknown-linux-gnu": "e-m:e-p:64:64-i64:64-i128:128-n64-S128",
    "powerpc64le-unknown-linux-gnu": "e-m:e-i64:64-n32:64-S128-v256:256:256-v512:512:512",
}


@pytest.mark.parametrize("triple", LAYOUTS)
@pytest.mark.parametrize("form", ["text", "bitcode"])
def test_old_data_layouts_are_upgraded(tmp_path: Path, triple: str, form: str) -> None:
    text = f'target datalayout = "{LAYOUTS[triple]}"\ntarget triple = "{triple}"\n'
    text += "@wide = global { i8, i128 } { i8 1, i128 2 }\n"
    text += "define i128 @f() {\n  %v = load i128, ptr @wide, align 8\n  ret i128 %v\n}\n"
    if form == "bitcode":
        (tmp_path / "old.bc").write_bytes(llvm.Llvmlite().unit_bitcode(text))
    else:
        (tmp_path / "old.ll").write_text(text)
    (name,) = (path.name for path in tmp_path.glob("old.*"))
    Build.start(tmp_path, tmp_path, name, "--no-opt", "--emit", "bitcode", "-o", "new.bc").result()
    made = llvm.read_module((tmp_path / "new.bc").read_bytes())
    assert f'target datalayout = "{llvm.data_layout(options(triple))}"' in made
    assert "align 8" in made  # what is written down stays


def options(triple: str) -> Options:
    return Options(
        triple=triple, cpu="", features="", level=0, optimize=False, relocation="pic", code_model="default"
    )


def test_layouts_that_are_no_older_ones_are_refused(tmp_path: Path) -> None:
    (tmp_path / "odd.ll").write_text(
        'target datalayout = "e-m:e-p:32:32-i64:32-n32-S64"\ntarget triple = "x86_64-pc-linux-gnu"\n'
        "define void @f() {\n  ret void\n}\n"
    )
    assert "its data layout is not that of x86_64-pc-linux-gnu" in refused(tmp_path, "odd.ll")


def test_text_of_a_newer_llvm_is_told(tmp_path: Path) -> None:
    text = "define frobnicate i32 @main() {\n  ret i32 0\n}\n"
    text += '!llvm.ident = !{!0}\n!0 = !{!"clang version 31.0.0"}\n'
    (tmp_path / "new.ll").write_text(text)
    assert "written by clang version 31.0.0, too new to be read here" in refused(tmp_path, "new.ll")


@needs("mold")
@needs_lld
def test_a_linker_that_can(tmp_path: Path) -> None:
    """mold before 2.0 does not know a relocation that debug information for RISC-V needs."""
    sources = write(tmp_path, FILES)
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("mold", "ld.lld-22", CLANG, "ld.bfd"):
        if found := shutil.which(tool):
            (tools / tool.replace("ld.lld-22", "ld.lld")).symlink_to(found)
    words = ["--target", "riscv64-linux-gnu", "-g", "--emit", "shared", "--", "-nostdlib"]
    Build.start(tmp_path, tmp_path, *sources, "-o", "image", *words).result()
    assert b"LLD" in (tmp_path / "image").read_bytes()


def test_of_two_code_models_the_larger_is_taken(tmp_path: Path) -> None:
    text = "@far = external global i32\ndefine i32 @NAME() {\n  %x = load i32, ptr @far\n  ret i32 %x\n}\n"
    flags = '!llvm.module.flags = !{!0}\n!0 = !{i32 1, !"Code Model", i32 NUMBER}\n'
    for name, number in (("a", "4"), ("b", "3")):
        (tmp_path / f"{name}.ll").write_text((text + flags).replace("NAME", name).replace("NUMBER", number))
    Build.start(tmp_path, tmp_path, "a.ll", "b.ll", "--emit=asm", "-o", "out.s").result()
    assert (tmp_path / "out.s").read_text().count("movabs") >= 2
