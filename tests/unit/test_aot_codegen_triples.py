"""Triples are spelt as clang spells them, and say for what there are objects."""

import pytest

from nativecache.aot.codegen.triples import architecture, named_target, narrowing, normalise, refusal

OBJECTS = (
    *("x86_64-pc-linux-gnu", "amd64-unknown-freebsd14", "x86_64-unknown-none-elf", "x86_64-linux-android"),
    *("aarch64-unknown-linux-gnu", "arm64-linux-gnu", "aarch64-none-elf", "riscv64-unknown-linux-musl"),
    *("loongarch64-unknown-linux-gnu", "powerpc64le-unknown-linux-gnu", "x86_64-pc-windows-elf"),
)
#: ELF, but of 32 bits, big-endian, or with relocations of another form.
OTHER_ELF = (
    *("i686-pc-linux-gnu", "i386-unknown-freebsd", "armv7-unknown-linux-gnueabihf", "thumbv7m-none-eabi"),
    *("s390x-unknown-linux-gnu", "powerpc64-unknown-linux-gnu", "aarch64_be-unknown-linux-gnu"),
    *("x86_64-unknown-linux-gnux32", "x86_64-unknown-linux-muslx32", "aarch64-unknown-linux-gnu_ilp32"),
    *("mips64el-unknown-linux-gnuabi64", "mipsel-unknown-linux-gnu", "riscv32-unknown-elf", "bpf", "bpfel"),
    *("sparc64-unknown-linux-gnu", "hexagon-unknown-linux-musl", "m68k-unknown-linux-gnu", "ve-linux"),
)
#: Whose files are no ELF, or whose symbols are spelt in another way in assembly.
ELSEWHERE = (
    *("x86_64-apple-macosx12.0.0", "arm64-apple-ios", "x86_64-apple-darwin", "x86_64-pc-windows-msvc19.33.0"),
    *("x86_64-w64-windows-gnu", "x86_64-unknown-uefi", "wasm32-unknown-unknown", "wasm64", "wasm32-wasi"),
    *("nvptx64-nvidia-cuda", "amdgcn-amd-amdhsa", "spirv64", "aarch64-pc-windows-msvc", "powerpc64-ibm-aix"),
)


@pytest.mark.parametrize("triple", OBJECTS)
@pytest.mark.parametrize("emit", ["exe", "shared", "object", "archive", "asm", "bitcode"])
def test_objects_of_64_bit_little_endian_elf(triple: str, emit: str) -> None:
    assert refusal(triple, emit) is None


@pytest.mark.parametrize("triple", OTHER_ELF)
def test_assembly_and_bitcode_of_other_elf(triple: str) -> None:
    refused = [
        emit for emit in ("exe", "shared", "object", "archive", "asm", "bitcode") if refusal(triple, emit)
    ]
    assert refused == ["exe", "shared", "object", "archive"]


@pytest.mark.parametrize("triple", ELSEWHERE)
def test_bitcode_of_everything_else(triple: str) -> None:
    refused = [
        emit for emit in ("exe", "shared", "object", "archive", "asm", "bitcode") if refusal(triple, emit)
    ]
    assert refused == ["exe", "shared", "object", "archive", "asm"]
    assert triple in (refusal(triple, "exe") or "") and "--emit bitcode" in (refusal(triple, "asm") or "")


@pytest.mark.parametrize(
    ("triple", "spelt"),
    [
        ("x86_64-linux-gnu", "x86_64-unknown-linux-gnu"),
        ("riscv64-freebsd14", "riscv64-unknown-freebsd14"),
        ("x86_64-linux-android21", "x86_64-unknown-linux-android21"),
        ("x86_64-pc-linux-gnu", "x86_64-pc-linux-gnu"),
        ("x86_64-windows-msvc", "x86_64-unknown-windows-msvc"),
        ("x86_64-w64-mingw32", "x86_64-w64-windows-gnu"),
        ("aarch64-windows", "aarch64-unknown-windows-msvc"),
        ("x86_64-uefi", "x86_64-unknown-uefi"),
        ("aarch64-none-elf", "aarch64-none-elf"),
        ("bpf", "bpf"),
        ("", ""),
    ],
)
def test_a_vendor_is_put_in_as_by_clang(triple: str, spelt: str) -> None:
    assert normalise(triple) == spelt and normalise(spelt) == spelt


def test_names_of_architectures() -> None:
    assert architecture("amd64-pc-linux") == "x86_64" and architecture("arm64-apple-ios") == "aarch64"
    assert architecture("s390x-linux-gnu") == "s390x"


def test_what_flags_say_of_the_target() -> None:
    assert named_target(("--target=a-b", "-O2", "-target", "c-d")) == "c-d"
    assert named_target(("-target",)) is None and named_target(()) is None
    assert narrowing(("-m64", "-m32")) == "-m32" and narrowing(("-m32", "-m64")) is None
    assert narrowing(("-mx32",)) == "-mx32" and narrowing(("-m3dnow",)) is None
