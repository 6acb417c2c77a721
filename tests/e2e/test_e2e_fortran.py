"""What Fortran alone has in debug information, shown by gdb as in clang's program of the same IR.

`common.ll` is what flang makes of `common.f90`, so that no flang is needed; its program is in C.
"""

import subprocess
from pathlib import Path

from debuggers import check_session, gdb, read_session
from harness import PROGRAMS, needs_clang, needs_gdb
from rules import Build

pytestmark = [needs_clang, needs_gdb]

MAIN = """
void first_(int *), second_(char *, long);
int main(void) { int n = 4; first_(&n); second_("name", 4); return 0; }
"""


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
    assert "b = 8" in gdb(tmp_path / "ours/image", read_session("fortran.gdb"), tmp_path)
    check_session("fortran.gdb", tmp_path / "ours/image", tmp_path / "them/image", tmp_path)
