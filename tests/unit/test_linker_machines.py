"""The linker chosen for a machine knows it, and the relocations that LLVM writes for it."""

from pathlib import Path

import pytest

from nativecache.linker.alike import how_read
from nativecache.linker.driver import find_linker

MOLD_1 = "mold 1.10.1 (compatible with GNU ld)"
MOLD_2 = "mold 2.37.0 (compatible with GNU ld)"
LLD_16 = "Debian LLD 16.0.6 (compatible with GNU linkers)"
LLD_22 = "Debian LLD 22.1.8 (compatible with GNU linkers)"
BFD = "GNU ld (GNU Binutils for Debian) 2.40\n  Supported emulations:\n   elf_x86_64\n   elf_i386"


def tools(folder: Path, **said: str) -> dict[str, str]:
    """A PATH with linkers that say no more than what they are."""
    for name, text in said.items():
        file = folder / f"ld.{name}"
        file.write_text(f"#!/bin/sh\ncat <<END\n{text}\nEND\n")
        file.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other linkers than those of a test."""
    names = {name: (f"ld.{name}",) for name in ("mold", "lld", "bfd")}
    monkeypatch.setattr("nativecache.linker.driver._LINKER_FILES", names)


@pytest.mark.parametrize(
    ("machine", "mold", "lld", "chosen"),
    [
        ("x86_64", MOLD_1, LLD_22, "mold"),
        ("riscv64", MOLD_1, LLD_22, "lld"),
        ("riscv64", MOLD_2, LLD_16, "mold"),
        ("loongarch64", MOLD_2, LLD_16, "mold"),
        ("aarch64", MOLD_1, LLD_16, "lld"),
        ("s390x", MOLD_2, LLD_22, "lld"),
    ],
)
def test_auto_goes_by_machine_and_version(
    tmp_path: Path, machine: str, mold: str, lld: str, chosen: str
) -> None:
    environ = tools(tmp_path, mold=mold, lld=lld, bfd=BFD)
    found = find_linker("auto", environ, machine=machine)
    assert found and found.name == chosen


def test_old_molds_and_the_hosts_ld_are_passed_over(tmp_path: Path) -> None:
    environ = tools(tmp_path, mold=MOLD_1, bfd=BFD)
    assert find_linker("auto", environ, machine="riscv64") is None
    assert find_linker("auto", environ, machine="aarch64", relocatable=True) is None
    found = find_linker("auto", environ, machine="aarch64")
    assert found and found.name == "mold"
    tools(tmp_path, bfd=f"{BFD}\n   elf64lriscv")
    found = find_linker("auto", environ, machine="riscv64")
    assert found and found.name == "bfd"


def test_common_symbols_are_nothing_for_mold(tmp_path: Path) -> None:
    """It takes the first of a name, where the largest is wanted."""
    environ = tools(tmp_path, mold=MOLD_1, bfd=BFD)
    found = find_linker("auto", environ, common=True)
    assert found and found.name == "bfd"
    found = find_linker("auto", environ)
    assert found and found.name == "mold"


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ("-Wl,--gc-sections -lm -Wl,-z,now,-z,defs -Wl,-rpath,/a -Wl,-soname,f -s -O2 -static -u f", "mold"),
        ("-Wl,--wrap=f -Wl,-e,f -Wl,--icf=all -Wl,-uf", "mold"),
        ("-Wl,--version-script=f", "bfd"),
        ("-Xlinker --version-script -Xlinker f", "bfd"),
        ("-Wl,--dynamic-list,f", "bfd"),
        ("-Wl,--version-script=f -Wl,--icf=all", "lld"),
        ("-z stack-size=1", "bfd"),
        ("-Wl,-z,pack-relative-relocs", "bfd"),
        ("-Wl,-zglobal", "bfd"),
        ("-Wl,--no-such-option", "bfd"),
        ("-rdynamic", "lld"),
        ("-rdynamic -Wl,--gc-sections", "bfd"),
    ],
)
def test_options_that_linkers_read_unlike(tmp_path: Path, options: str, chosen: str) -> None:
    environ = tools(tmp_path, mold=MOLD_1, lld=LLD_22, bfd=BFD)
    found = find_linker("auto", environ, reading=how_read(options.split()))
    assert found and found.name == chosen


def test_a_linker_asked_for_is_taken(tmp_path: Path) -> None:
    environ = tools(tmp_path, mold=MOLD_1)
    found = find_linker("mold", environ, machine="riscv64")
    assert found and found.name == "mold"
