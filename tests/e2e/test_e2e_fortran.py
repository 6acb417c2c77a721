"""What Fortran alone has in debug information, shown by gdb as in clang's program of the same IR.

`common.ll` is what flang makes of `common.f90`, so that no flang is needed; its program is in C.
"""

import subprocess
from pathlib import Path

from harness import PROGRAMS, needs_clang, needs_gdb
from rules import Build
from test_e2e_debuggers import differences, gdb

pytestmark = [needs_clang, needs_gdb]

MAIN = """
void first_(int *), second_(char *, long);
int main(void) { int n = 4; first_(&n); second_("name", 4); return 0; }
"""

SESSION = (
    *("break inner", "run", "up", "info locals", "info common", "print keep", "down", "next", "next"),
    *("info locals", "info scope inner", "print b", "print z", "break second", "continue", "next", "next"),
    *("info locals", "info args", "info common", "info common blk", "print w", "print whole", "ptype w"),
    *("info symbol first_", "print keep", "ptype second", "info functions ^(first|second|inner)$"),
)


def test_common_blocks_and_internal_procedures(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text(MAIN)
    for name in ("common.f90", "common.ll"):
        (tmp_path / name).write_bytes((PROGRAMS / "fortran" / name).read_bytes())
    for folder in ("ours", "them"):
        (tmp_path / folder).mkdir()
    words = ("main.c", "common.ll", "-O0", "-g")
    Build.start(tmp_path, tmp_path, *words, "-o", "ours/image").result()
    command = ["clang-22", *words, "-Wno-override-module", "-o", "them/image"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    assert "b = 8" in gdb(tmp_path / "ours/image", SESSION, tmp_path)
    assert not differences(gdb, tmp_path / "ours/image", tmp_path / "them/image", SESSION, tmp_path)
