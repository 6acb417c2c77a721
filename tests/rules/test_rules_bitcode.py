"""Bitcode under other names than `.bc`: objects that `-flto` made, archives of them, and the flag itself."""

import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from harness import CLANG, needs_clang, run
from rules import Build, write

from nativecache.aot.errors import BuildError
from nativecache.aot.front.clang import without_lto
from nativecache.aot.front.contents import holds_bitcode, is_bitcode

pytestmark = [needs_clang]

MAIN = """
#include <stdio.h>
int wanted(int), other(void);
int main(void) { printf("%d %d\\n", wanted(4), other()); return 0; }
"""
#: A member is told by its constructor.
MEMBER = """
#include <stdio.h>
__attribute__((constructor)) static void first(void) {{ puts("{0} is there"); }}
int {0}(int x) {{ return 2 * x; }}
"""
NATIVE = "int other(void) { return 7; }\n"


def compiled(space: Path, name: str, text: str, *flags: str) -> str:
    write(space, {f"{name}.c": text})
    subprocess.run([CLANG, "-O2", *flags, "-c", f"{name}.c"], cwd=space, check=True, timeout=60)
    return f"{name}.o"


def archive(space: Path, kind: str, *members: str) -> str:
    subprocess.run(["ar", kind, "lib.a", *members], cwd=space, check=True, capture_output=True, timeout=60)
    return "lib.a"


def built(space: Path, *words: str) -> tuple[dict[str, Any], str]:
    """The build's figures, and what its program prints."""
    result = Build.start(space, space, *words, "-o", "image").result()
    return result.stats, run(space / "image").stdout.decode()


def failed(space: Path, *words: str) -> str:
    build = Build.start(space, space, *words, "-o", "image")
    build.process.join()
    assert build.process.exitcode == 1, build.log.read_text()
    return build.log.read_text()


@pytest.mark.parametrize("flag", ["-flto", "-flto=thin"])
def test_objects_that_are_bitcode_are_split(tmp_path: Path, flag: str) -> None:
    wanted = compiled(tmp_path, "wanted", MEMBER.format("wanted"), flag)
    other = compiled(tmp_path, "other", NATIVE, flag)
    write(tmp_path, {"main.c": MAIN})
    stats, says = built(tmp_path, "main.c", wanted, other)
    assert says == "wanted is there\n8 7\n" and stats["functions"] > 1 and not stats["whole"]


def test_wrapped_bitcode(tmp_path: Path) -> None:
    """llvm/Bitcode/BitcodeReader.h: magic, version, offset, size, CPU type."""
    bitcode = (tmp_path / compiled(tmp_path, "other", NATIVE, "-flto")).read_bytes()
    wrapped = struct.pack("<5I", 0x0B17C0DE, 0, 20, len(bitcode), 0) + bitcode
    (tmp_path / "other.o").write_bytes(wrapped + b"\0" * (-len(wrapped) % 16))
    write(tmp_path, {"main.c": "int other(void);\nint main(void) { return other() - 7; }\n"})
    assert built(tmp_path, "main.c", "other.o")[1] == ""


def test_native_code_with_bitcode_beside_it_is_linked(tmp_path: Path) -> None:
    write(tmp_path, {"main.c": "int other(void);\nint main(void) { return other() - 7; }\n"})
    fat = compiled(tmp_path, "other", NATIVE, "-flto", "-ffat-lto-objects")
    assert not is_bitcode(tmp_path / fat)
    assert built(tmp_path, "main.c", fat)[1] == ""


@pytest.mark.parametrize("kind", ["rcs", "rcsT"])
def test_members_are_taken_as_the_linker_takes_them(tmp_path: Path, kind: str) -> None:
    members = [compiled(tmp_path, name, MEMBER.format(name), "-flto") for name in ("wanted", "idle")]
    members.append(compiled(tmp_path, "other", NATIVE))
    library = archive(tmp_path, kind, *members)
    assert holds_bitcode(tmp_path / library)
    write(tmp_path, {"main.c": MAIN})
    stats, says = built(tmp_path, "main.c", library)
    assert says == "wanted is there\n8 7\n" and stats["whole"] == ["lib.a (its bitcode)"]
    assert built(tmp_path, "main.c", library)[1] == says  # from the cache


def test_a_definition_outside_keeps_a_member_away(tmp_path: Path) -> None:
    library = archive(tmp_path, "rcs", compiled(tmp_path, "wanted", MEMBER.format("wanted"), "-flto"))
    mine = "int wanted(int x) { return x; }\nint other(void) { return 1; }\n"
    write(tmp_path, {"main.c": MAIN, "mine.c": mine})
    assert built(tmp_path, "main.c", "mine.c", library)[1] == "4 1\n"


def test_a_changed_member_is_compiled_again(tmp_path: Path) -> None:
    write(tmp_path, {"main.c": "int other(void);\nint main(void) { return other() - 7; }\n"})
    library = archive(tmp_path, "rcs", compiled(tmp_path, "other", NATIVE, "-flto"))
    built(tmp_path, "main.c", library)
    archive(tmp_path, "rcs", compiled(tmp_path, "other", NATIVE.replace("7", "9"), "-flto"))
    Build.start(tmp_path, tmp_path, "main.c", library, "-o", "image").result()
    assert run(tmp_path / "image").code == 2


def test_members_for_another_machine_are_named(tmp_path: Path) -> None:
    other = compiled(tmp_path, "other", NATIVE, "-flto", "--target=i686-linux-gnu")
    write(tmp_path, {"main.c": MAIN})
    library = archive(tmp_path, "rcs", other)
    assert "lib.a(other.o): there are no objects for i686-unknown-linux-gnu" in failed(
        tmp_path, "main.c", library
    )


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.o").write_bytes(b"BC\xc0\xde" + b"\x35\x14" * 40)
    write(tmp_path, {"main.c": MAIN})
    library = archive(tmp_path, "rcs", "bad.o")
    (line,) = failed(tmp_path, "main.c", library).splitlines()
    assert line.startswith("nativecache: error: lib.a(bad.o): ")


def test_modules_of_two_parts_are_refused(tmp_path: Path) -> None:
    virtual = "struct S { virtual int f(); }; int S::f() { return 1; }\nS s;\n"
    write(tmp_path, {"two.cpp": virtual})
    flags = ("-flto=thin", "-fsplit-lto-unit", "-fwhole-program-vtables", "-fvisibility=hidden")
    subprocess.run([CLANG, "-O2", *flags, "-c", "two.cpp"], cwd=tmp_path, check=True, timeout=60)
    assert "two.o: holds several modules, as -fsplit-lto-unit makes them" in failed(tmp_path, "two.o")


@pytest.mark.parametrize("flags", ["-flto", "-flto=thin -fwhole-program-vtables", "-flto -fprofile-generate"])
def test_the_flag_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str) -> None:
    """With the last, the file is compiled whole; as bitcode it could not be linked."""
    monkeypatch.chdir(tmp_path)  # where the program leaves its profile
    write(tmp_path, {"main.c": "int main(void) { return 0; }\n"})
    assert built(tmp_path, "main.c", *flags.split())[1] == ""


def test_flags_about_link_time_optimisation() -> None:
    kept = ("-O2", "-flat_namespace", "-fno-inline", "-fwhole-file")
    dropped = ("-flto", "-flto=auto", "-fno-lto", "-ffat-lto-objects", "-flto-jobs=2", "-fno-split-lto-unit")
    assert without_lto((*kept, *dropped)) == kept
    with pytest.raises(BuildError, match="-fsanitize=cfi-icall: needs"):
        without_lto(("-flto", "-fsanitize=cfi-icall"))
