"""Nothing in the folder that is built is run: it is full of what Python, loaders and compilers look for."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from harness import CLANG, clean_environment, needs_clang

from nativecache.cli.working_folder import without_relative
from nativecache.linker.link import SEARCHED

COMMAND = Path(sys.executable).with_name("nativecache")
#: Packages that we import or look for, and what Python imports at its start wherever it finds it.
MODULES = (
    *sys.stdlib_module_names,
    *("llvmlite", "click", "rich", "filelock", "ziglang", "nativecache", "typing_extensions"),
    *("sitecustomize", "usercustomize"),
)
PROGRAMS = (
    *(name for name in SEARCHED if "/" not in name),
    *("as", "ld", "collect2", "cc1", "ar", "objcopy", "ldconfig", "uname", "sh", "python", "python3", "zig"),
    *("x86_64-linux-gnu-ld", "x86_64-linux-gnu-gcc", "ld64.lld", "lld", "clang-cpp", "ccache", "strip"),
)
LIBRARIES = (
    "libLLVM.so.22.1",
    "libffi.so.8",
    "libz.so.1",
    "libcrypto.so.3",
    "libstdc++.so.6",
    "libgcc_s.so.1",
)
SETTINGS = (
    "config.toml",
    "clang.cfg",
    "x86_64-pc-linux-gnu-clang.cfg",
    "specs",
    "pyvenv.cfg",
    ".clang",
    "ld.so.conf",
)


@pytest.fixture
def traps(tmp_path: Path) -> Path:
    """A folder of traps, each of which leaves a file of its name in `sprung`; beside it, two sources."""
    folder, sprung = tmp_path / "project", tmp_path / "sprung"
    folder.mkdir()
    sprung.mkdir()
    for name in MODULES:
        (folder / f"{name}.py").write_text(f"open({str(sprung / name)!r}, 'w')\nraise SystemExit(77)\n")
    for name in ("ziglang", "llvmlite", "nativecache"):
        (folder / name).mkdir()
        for file in ("__init__.py", "__main__.py"):
            shutil.copy(folder / f"{name}.py", folder / name / file)
    for name in PROGRAMS:
        (folder / name).write_text(f"#!/bin/sh\n: > {sprung}/{name}\nexit 77\n")
        (folder / name).chmod(0o755)
    for name in SETTINGS:
        (folder / name).write_text("max-size = 'nonsense'\n--no-such-option\n")
    body = f'{{ creat("{sprung}/library", 0600); }}'
    source = f"#include <fcntl.h>\n__attribute__((constructor)) void f(void) {body}"
    made = folder / LIBRARIES[0]
    command = [CLANG, "-shared", "-fPIC", "-x", "c", "-", "-o", str(made)]
    subprocess.run(command, input=source.encode(), cwd=tmp_path, check=True)
    for name in LIBRARIES[1:]:
        os.link(made, folder / name)
    (folder / "a.c").write_text("int f(void);\nint main(void) { return f(); }\n")
    (folder / "b.cpp").write_text('extern "C" int f() { return 0; }\n')
    (folder / "c.c").write_text("int f(void) { return 0; }\n")
    return folder


def run(traps: Path, *words: str | Path, **more: str) -> "subprocess.CompletedProcess[str]":
    """Runs a command in the folder, with search paths that lead there by mistake."""
    environment = clean_environment() | {
        "NATIVECACHE_DIR": str(traps.parent / "cache"),
        "PATH": f":{os.environ['PATH']}:.:",
        "LD_LIBRARY_PATH": ":",
        "COMPILER_PATH": ":.",
        **more,
    }
    command = list(map(str, words))
    return subprocess.run(command, cwd=traps, env=environment, capture_output=True, text=True, timeout=300)


@needs_clang
def test_no_trap_is_sprung(traps: Path) -> None:
    builds = [
        ["a.c", "b.cpp", "-o", "app"],
        ["a.c", "b.cpp", "-o", "app"],
        # No C++: GNU ld takes the folder's libgcc_s.so.1 for what libstdc++ needs, for clang, too.
        ["a.c", "c.c", "-o", "app2", "--cc", "gcc", "--linker", "bfd", "--clang", CLANG],
        ["a.c", "--emit", "bitcode", "-o", "a.bc", "--llvm", "llvmlite"],
    ]
    for words in builds:
        done = run(traps, COMMAND, "build", *words)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "up to date" not in done.stdout
    again = run(traps, COMMAND, "build", *builds[0])
    assert "up to date" in again.stdout, again
    assert run(traps, COMMAND, "cache", "stats").returncode == 0
    time.sleep(0.5)  # a prune may be at work
    assert os.listdir(traps.parent / "sprung") == []
    # Without the search paths being put right, the first of these would have been.
    assert run(traps, shutil.which("env") or "env", "cc", "--version").returncode == 77


@needs_clang
def test_a_package_beside_the_sources_is_not_ours(tmp_path: Path) -> None:
    """Python itself looks in the working folder first with `-m`; we do not."""
    for name in ("ziglang", "rich", "click"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\n")
        (tmp_path / name / "__main__.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\n")
    (tmp_path / "a.c").write_text("int main(void) { return 0; }\n")
    nowhere = {"PATH": str(tmp_path / "empty"), "LD_LIBRARY_PATH": ""}
    module = (sys.executable, "-m", "nativecache.cli.start")
    for words in ((*module, "build", "a.c"), (COMMAND, "build", "a.c"), (*module, "cache", "info")):
        run(tmp_path, *words, **nowhere)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("path", "kept"),
    [("/a:/b", "/a:/b"), (":/a", "/a"), ("/a:", "/a"), ("/a::/b", "/a:/b"), (".:x:../y:/a", "/a"), (":", "")],
)
def test_relative_entries_go(path: str, kept: str) -> None:
    assert without_relative(path) == kept
