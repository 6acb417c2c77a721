"""The linker that is chosen: for a machine, and for what is linked."""

from pathlib import Path

import pytest

from nativecache.linker.alike import how_read
from nativecache.linker.choice import Linker, find_linker
from nativecache.linker.errors import LinkError

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


@pytest.fixture
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other linkers than those of a test."""
    names = {name: (f"ld.{name}",) for name in ("mold", "lld", "bfd")}
    monkeypatch.setattr("nativecache.linker.choice.LINKER_FILES", names)


alone = pytest.mark.usefixtures("nothing_else")


@alone
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


@alone
def test_old_molds_and_the_hosts_ld_are_passed_over(tmp_path: Path) -> None:
    environ = tools(tmp_path, mold=MOLD_1, bfd=BFD)
    assert find_linker("auto", environ, machine="riscv64") is None
    assert find_linker("auto", environ, machine="aarch64", relocatable=True) is None
    found = find_linker("auto", environ, machine="aarch64")
    assert found and found.name == "mold"
    tools(tmp_path, bfd=f"{BFD}\n   elf64lriscv")
    found = find_linker("auto", environ, machine="riscv64")
    assert found and found.name == "bfd"


@alone
def test_common_symbols_are_nothing_for_mold(tmp_path: Path) -> None:
    """It takes the first of a name, where the largest is wanted."""
    environ = tools(tmp_path, mold=MOLD_1, bfd=BFD)
    found = find_linker("auto", environ, common=True)
    assert found and found.name == "bfd"
    tools(tmp_path, lld=LLD_22)
    for reading in ("alike", "exports"):
        found = find_linker("auto", environ, common=True, reading=reading)
        assert found and found.name == "bfd"  # lld looks for no definition in archives
    found = find_linker("auto", environ)
    assert found and found.name == "mold"


@alone
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
        # Forms of options that mold 1.10 does not know.
        *(
            (f"-Wl,{word}", "bfd")
            for word in ("-w", "--no-warnings", "--library=m", "--library,m", "--sort-common=x")
        ),
        *((f"-Wl,{word}", "bfd") for word in ("-call_shared", "-entry,f", "-undefined,f")),
        ("-Wl,--sort-common -Wl,-entry=f -Wl,--entry,f -Wl,-undefined=f", "mold"),
        ("-t", "bfd"),
        ("-Wl,-z,undefs", "bfd"),
        # A library that is named once more is to be loaded in any case.
        ("-Wl,--as-needed -la", "mold"),
        ("-Wl,--as-needed -la -Wl,--no-as-needed -la", "lld"),
        ("-Wl,--push-state,--as-needed -la -Wl,--pop-state -la", "lld"),
        ("-Wl,--push-state,-Bstatic -la -Wl,--pop-state", "lld"),
        (
            "-Wl,-Bstatic -la -Wl,-Bdynamic -Wl,--push-state,--whole-archive -lb -Wl,--no-whole-archive",
            "mold",
        ),
    ],
)
def test_options_that_linkers_read_unlike(tmp_path: Path, options: str, chosen: str) -> None:
    environ = tools(tmp_path, mold=MOLD_1, lld=LLD_22, bfd=BFD)
    found = find_linker("auto", environ, reading=how_read(options.split()))
    assert found and found.name == chosen


@alone
def test_options_of_relocatable_links(tmp_path: Path) -> None:
    environ = tools(tmp_path, mold=MOLD_1, lld=LLD_22, bfd=BFD)
    for options, chosen in (("-Wl,-x", "lld"), ("-Wl,--split-by-file", "bfd"), ("-Wl,-no-warnings", "bfd")):
        found = find_linker("auto", environ, relocatable=True, reading=how_read([options]))
        assert found and found.name == chosen
    found = find_linker("auto", environ, relocatable=True, scripted=True)
    assert found and found.name == "bfd"


@alone
def test_a_linker_asked_for_is_taken(tmp_path: Path) -> None:
    environ = tools(tmp_path, mold=MOLD_1)
    found = find_linker("mold", environ, machine="riscv64")
    assert found and found.name == "mold"


def test_a_linker_that_is_not_there_is_named() -> None:
    with pytest.raises(LinkError, match="linker not found: mold"):
        find_linker("mold", {"PATH": ""})


def test_auto_prefers_the_fastest_linker_that_does_the_job_right(tmp_path: Path) -> None:
    for name in "ld.bfd", "mold", "ld.lld":
        (tmp_path / name).touch(0o755)
    environ = {"PATH": str(tmp_path)}
    assert find_linker("auto", environ) == Linker(str(tmp_path / "mold"), "mold")
    assert find_linker("auto", environ, relocatable=True) == Linker(str(tmp_path / "ld.lld"), "lld")


def test_a_linker_at_a_path_is_asked_if_its_name_says_nothing(tmp_path: Path) -> None:
    tools(tmp_path, odd=LLD_22)
    assert find_linker(str(tmp_path / "ld.odd"), {"PATH": "/usr/bin:/bin"}) == Linker(
        str(tmp_path / "ld.odd"), "lld"
    )


@alone
def test_scripts_go_to_what_they_are_written_for(tmp_path: Path) -> None:
    environ = tools(tmp_path, mold=MOLD_1, lld=LLD_22, bfd=BFD)
    names = [
        found.name if (found := find_linker("auto", environ, scripted=True, machine=machine)) else ""
        for machine in ("x86_64", "aarch64")
    ]
    assert names == ["bfd", "lld"]
