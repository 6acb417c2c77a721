"""Builds under `make -j` have as many workers as make's job server has slots to spare, and give them back."""

import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import CLANG, clean_environment, needs, needs_clang
from rules import write

from nativecache.cli.job_slots import job_slots

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

COMMAND = (sys.executable, "-m", "nativecache.cli.start", "build")
FILES = {f"f{n}.c": f"int f{n}(int n) {{ return n * {n + 2}; }}\n" for n in range(4)} | {
    "main.c": "int f0(int), f1(int);\nint main(void) { return f0(f1(0)); }\n",
    # A clang that stops once it compiles.
    "slow": f'#!/bin/sh\ncase "$*" in *-\\#\\#\\#*|*--version*) exec {CLANG} "$@" ;; esac\n'
    "touch busy; exec sleep 600\n",
}


@dataclass
class Server:
    """A job server with three slots, as make has it: a pipe, or a fifo."""

    ends: tuple[int, int]
    flags: str

    @property
    def slots(self) -> int:
        """How many nobody has."""
        return int(struct.unpack("i", fcntl.ioctl(self.ends[0], termios.FIONREAD, b"\0" * 4))[0])


@pytest.fixture(params=["pipe", "fifo"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    if request.param == "pipe":
        ends = os.pipe()
        flags = f" -j4 --jobserver-fds=77,78 --jobserver-auth={ends[0]},{ends[1]}"
    else:
        os.mkfifo(tmp_path / "fifo")
        end = os.open(tmp_path / "fifo", os.O_RDWR)
        ends, flags = (end, os.dup(end)), f"-j4 --jobserver-auth=fifo:{tmp_path / 'fifo'}"
    for end in ends:
        os.set_inheritable(end, True)
    os.write(ends[1], b"abc")
    yield Server(ends, flags)
    for end in ends:
        os.close(end)


def start(server: Server, folder: Path, *words: str) -> "subprocess.Popen[str]":
    env = clean_environment() | {"NATIVECACHE_DIR": str(folder / "cache"), "MAKEFLAGS": server.flags}
    files = [name for name in FILES if name.endswith(".c")]
    return subprocess.Popen(
        [*COMMAND, *files, "-O2", "-o", "app", *words],
        cwd=folder,
        env=env,
        pass_fds=server.ends,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_slots_are_taken_and_given_back(server: Server) -> None:
    with job_slots(server.flags, 3) as workers:
        assert (workers, server.slots) == (3, 1)
        with job_slots(server.flags, 8) as others:
            assert (others, server.slots) == (2, 0)
            with job_slots(server.flags, 8) as none:
                assert none == 1
        assert server.slots == 1
    assert server.slots == 3


@pytest.mark.parametrize(
    "flags",
    [
        *(
            "",
            "-j4",
            "--jobserver-auth=1000,1001",
            "--jobserver-auth=fifo:/no/such",
            "--jobserver-auth=-2,-2",
        ),
        "--jobserver-auth=fifo:/dev/null",
    ],
)
def test_where_there_is_none_to_ask(flags: str) -> None:
    with job_slots(flags, 4) as workers:
        assert workers is None


def test_a_file_of_our_own_is_none() -> None:
    """make leaves its pipe open for recipes that begin with `+` only."""
    reader, writer = os.pipe()
    os.write(writer, b"a")
    with job_slots(f"--jobserver-auth={reader},{writer}", 4) as workers:
        assert workers is None
    os.close(reader)
    os.close(writer)


@needs_clang
@pytest.mark.parametrize("how", [None, signal.SIGINT, signal.SIGKILL])
def test_a_build_gives_them_back_however_it_ends(
    how: signal.Signals | None, server: Server, tmp_path: Path
) -> None:
    write(tmp_path, FILES)
    (tmp_path / "slow").chmod(0o755)
    if how is None:
        child = start(server, tmp_path)
        said, _ = child.communicate(timeout=60)
        assert child.returncode == 0, said
        assert server.slots == 3
        return
    child = start(server, tmp_path, "--clang", "./slow")
    deadline = time.monotonic() + 30
    while not (tmp_path / "busy").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.slots < 3 or os.cpu_count() == 1
    child.send_signal(how)
    child.communicate(timeout=60)
    while server.slots < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.slots == 3


@needs_clang
@needs("make")
def test_make_has_no_job_too_many(tmp_path: Path) -> None:
    """With one slot a build has one worker, and make finds all its slots at its end."""
    command = " ".join([*COMMAND, *(n for n in FILES if n.endswith(".c")), "-O2 --cache-dir cache -o app$@"])
    write(tmp_path, FILES | {"Makefile": f"all: 1 2 3\n1 2 3:\n\t+@{command}\n"})
    done = subprocess.run(
        ["make", "-j3", "all"], cwd=tmp_path, env=clean_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0 and not done.stderr, done
    assert len({(tmp_path / f"app{n}").read_bytes() for n in (1, 2, 3)}) == 1
