"""A resident process does builds as a process of their own would, and nobody notices but by the clock."""

import os
import pty
import re
import resource
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import CLANG, ROOT, clean_environment, needs_clang
from rules import write

from nativecache.cli.server_commands import Status, ask, sockets, statuses

pytestmark = [needs_clang, pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")]

FILES = {
    "main.c": '#include <stdio.h>\nint f(int);\nint main(void) { return printf("%d\\n", f(2)) > 9; }\n',
    "f.c": "__attribute__((noinline)) int f(int n) { return n * 3; }\n",
}
COMMAND = (sys.executable, "-m", "nativecache.cli.start")
WORDS = ("build", "main.c", "f.c", "-O2", "-o", "app")

#: A clang that stops when it is to compile, while a file `slow` is there.
SLOW_CLANG = f"""#!/bin/sh
case "$*" in *-\\#\\#\\#*|*--version*) exec {CLANG} "$@" ;; esac
[ -e slow ] && touch busy && exec sleep 600
exec {CLANG} "$@"
"""


@dataclass
class Space:
    """Sources, their cache, and a folder for the resident processes of their builds."""

    folder: Path
    runtime: Path
    number: int = 0

    def environ(self, **more: str) -> dict[str, str]:
        # With variables of Python's own a command does it itself.
        kept = {
            name: value
            for name, value in clean_environment().items()
            if name != "CI" and (name == "PYTHONDONTWRITEBYTECODE" or not name.startswith("PYTHON"))
        }
        ours = {"NATIVECACHE_DIR": str(self.folder / "cache"), "XDG_RUNTIME_DIR": str(self.runtime)}
        return kept | ours | {"NATIVECACHE_SERVER": "1"} | more

    def run(self, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*COMMAND, *words],
            cwd=self.folder,
            env=self.environ(**more),
            capture_output=True,
            text=True,
            timeout=60,
        )

    def start(self, *words: str, **more: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*COMMAND, *words],
            cwd=self.folder,
            env=self.environ(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def shell(self, script: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Runs bash; `$nativecache` is the command."""
        env = self.environ(**more) | {"nativecache": shlex.join(COMMAND), "words": shlex.join(WORDS)}
        return subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=env, capture_output=True, text=True, timeout=60
        )

    def edit(self) -> None:
        self.number += 1
        write(self.folder, {"f.c": FILES["f.c"].replace("3", str(1000 + self.number))})

    @property
    def sockets(self) -> Path:
        return self.runtime / "nativecache"

    def servers(self) -> list[Status]:
        return statuses(str(self.sockets))

    @property
    def builds(self) -> int:
        """How many builds its resident processes have done or begun."""
        return sum(one.builds for one in self.servers())

    def await_server(self) -> Status:
        until(lambda: len(self.servers()) == 1)
        return self.servers()[0]

    def stop(self) -> None:
        for one in self.servers():
            for child in children_of(one.process):  # of a test that failed
                os.kill(child, signal.SIGKILL)
        for path in sockets(str(self.sockets)):
            with suppress(OSError):
                ask(path, b"Q")


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Space]:
    """Sources that were never built."""
    runtime = Path(tempfile.mkdtemp(prefix="nc-"))  # its path has to fit into a socket's address
    write(tmp_path, FILES)
    space = Space(tmp_path, runtime)
    yield space
    space.stop()
    shutil.rmtree(runtime)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Space]:
    """Sources with a resident process that many tests ask."""
    runtime = Path(tempfile.mkdtemp(prefix="nc-"))
    space = Space(tmp_path_factory.mktemp("space"), runtime)
    write(space.folder, FILES)
    assert space.run(*WORDS).returncode == 0
    space.edit()
    assert space.run(*WORDS).returncode == 0
    space.await_server()
    yield space
    space.stop()
    shutil.rmtree(runtime)


@pytest.fixture
def served(shared: Space) -> Iterator[Space]:
    """The same, for a test that builds once with the resident process."""
    shared.edit()
    before = shared.builds
    yield shared
    assert shared.builds > before, "it was not asked"
    assert len(shared.servers()) == 1


def slow_down(space: Space) -> None:
    """Has clang stop in the next build."""
    clang = space.folder / "slowclang"
    clang.write_text(SLOW_CLANG)
    clang.chmod(0o755)
    (space.folder / "busy").unlink(missing_ok=True)
    (space.folder / "slow").touch()


def start_slow(space: Space) -> "subprocess.Popen[str]":
    """A build by the resident process that is in the middle of clang's work."""
    slow_down(space)
    child = space.start(*WORDS, "--clang", "./slowclang", TMPDIR=str(space.folder))
    until((space.folder / "busy").exists)
    (space.folder / "slow").unlink()
    return child


# When there is one


def test_a_build_leaves_one_behind_that_does_the_next(bare: Space) -> None:
    assert bare.run(*WORDS).returncode == 0
    server = bare.await_server()
    assert server.builds == 0
    bare.edit()
    done = bare.run(*WORDS)
    assert "1 of 2 functions from cache" in done.stdout and done.stderr == ""
    assert bare.await_server().builds == 1
    assert bare.run("server", "status").stdout.startswith(f"process {server.process}: 1 builds, 0 under way")
    assert bare.run("server", "stop").returncode == 0
    until(lambda: not is_alive(server.process))
    assert bare.run("server", "status").stdout == "no server\n"
    assert [path.suffix for path in bare.sockets.iterdir()] == [".started"]


@pytest.mark.parametrize("more", [{"NATIVECACHE_SERVER": "0"}, {"NATIVECACHE_SERVER": ""}, {"CI": "true"}])
def test_none_is_started(more: dict[str, str], bare: Space) -> None:
    for _ in range(2):
        assert bare.run(*WORDS, **more).returncode == 0
        bare.edit()
    time.sleep(0.3)
    assert not bare.sockets.exists()


def test_one_that_ended_is_not_started_again_within_a_minute(bare: Space) -> None:
    assert bare.run(*WORDS).returncode == 0
    server = bare.await_server()
    os.kill(server.process, signal.SIGTERM)
    until(lambda: not is_alive(server.process))
    bare.edit()
    assert bare.run(*WORDS).returncode == 0
    time.sleep(0.3)
    assert not bare.servers()


def test_it_keeps_nothing_of_who_started_it(bare: Space) -> None:
    (bare.folder / "held").touch()
    done = bare.shell(
        "umask 027; $nativecache $words | cat; exec 7< held; $nativecache $words --no-cache 2>&1 | cat",
        SECRET="1",
    )  # `cat` ends when nobody has its pipe open any more
    assert done.returncode == 0 and done.stdout.count("\n") == 2, done
    process = Path(f"/proc/{bare.await_server().process}")
    files = {os.readlink(path) for path in (process / "fd").iterdir()}
    assert {name for name in files if not name.startswith(("socket:", "pipe:"))} == {"/dev/null"}
    assert os.readlink(process / "cwd") == "/"
    assert b"SECRET" not in (process / "environ").read_bytes()
    assert os.getsid(int(process.name)) == int(process.name)


def test_another_users_folder_is_none(bare: Space) -> None:
    if os.getuid():
        pytest.skip("needs root")
    from nativecache.cli import server_place

    bare.sockets.mkdir(mode=0o700)
    for mode, owner in ((0o755, 0), (0o700, 12345)):
        bare.sockets.chmod(mode)
        os.chown(bare.sockets, owner, owner)
        assert not server_place.is_private(str(bare.sockets))
        assert bare.run(*WORDS).returncode == 0
        time.sleep(0.2)
        assert not list(bare.sockets.iterdir())
        bare.edit()


def test_a_socket_of_nobody_is_replaced(bare: Space) -> None:
    """As one is left behind by a process that was killed."""
    assert bare.run(*WORDS).returncode == 0
    server = bare.await_server()
    os.kill(server.process, signal.SIGKILL)
    until(lambda: not is_alive(server.process))
    (note,) = bare.sockets.glob("*.started")
    note.unlink()
    bare.edit()
    assert bare.run(*WORDS).returncode == 0
    assert bare.await_server().process != server.process


def test_one_that_does_not_answer_is_not_waited_for(bare: Space) -> None:
    assert bare.run(*WORDS).returncode == 0
    server = bare.await_server()
    os.kill(server.process, signal.SIGSTOP)
    try:
        bare.edit()
        assert bare.run(*WORDS).returncode == 0
        assert subprocess.run([bare.folder / "app"], capture_output=True, text=True).stdout == "2002\n"
    finally:
        os.kill(server.process, signal.SIGCONT)
    # The child that it forks then finds that nobody waits for it.
    until(lambda: bare.servers() and not bare.servers()[0].active)
    bare.edit()
    assert bare.run(*WORDS).returncode == 0


def test_where_its_socket_is_gone_it_ends(bare: Space) -> None:
    assert bare.run(*WORDS).returncode == 0
    server = bare.await_server()
    (path,) = sockets(str(bare.sockets))
    os.rename(path, f"{path}x")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.connect(f"{path}x")
        asking.send(b"B")
        assert asking.recv(1) == b""
    until(lambda: not is_alive(server.process))


def test_other_code_has_another(bare: Space) -> None:
    """By the name of its socket, in which all sizes and times of modules are."""
    copy = bare.folder / "copy"
    for part in ("aot", "cache", "cli", "linker"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    script = (
        "import sys; p = type(sys)('nativecache'); p.__path__ = [sys.argv[1]]; "
        "sys.modules['nativecache'] = p; "
        "from nativecache.cli.server_place import socket_path; import os; print(socket_path(os.environ))"
    )

    def name() -> str:
        words = [sys.executable, "-c", script, str(copy)]
        return subprocess.run(words, env=bare.environ(), capture_output=True, text=True, check=True).stdout

    before = name()
    assert "/server-" in before and name() == before
    os.utime(copy / "aot" / "key.py")
    assert name() != before


# What it does is the same


def both(space: Space, script: str, **more: str) -> None:
    """Runs a script with and without a resident process: equal outputs, exit codes and images."""
    found: list[tuple[int, str, bytes, int]] = []
    for server in ("0", "1"):
        write(space.folder, {"f.c": FILES["f.c"].replace("3", f"3 + {space.number % 2}")})
        (space.folder / "app").unlink(missing_ok=True)
        cache = space.folder / f"cache{len(found)}"
        shutil.rmtree(cache, ignore_errors=True)
        before = space.builds
        done = space.shell(script, NATIVECACHE_SERVER=server, **(more | {"NATIVECACHE_DIR": str(cache)}))
        assert (space.builds > before) == (server == "1"), done
        image = space.folder / "app"
        said = re.sub(r"\d+(\.\d+)? (ms|s)\b", "T", done.stdout + done.stderr)
        mode = stat.S_IMODE(image.stat().st_mode) if image.exists() else 0
        found.append((done.returncode, said, image.read_bytes() if image.exists() else b"", mode))
    assert found[0] == found[1]
    assert found[0][1] or found[0][2]


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("$nativecache $words", id="plain"),
        pytest.param("$nativecache $words -Wall -DX='int unused;' -include w.h", id="warnings"),
        pytest.param("$nativecache build main.c broken.c -o app", id="an error of clang"),
        pytest.param("$nativecache build main.c -o app", id="an error of the linker"),
        pytest.param("$nativecache build nothing.c -o app", id="no such file"),
        pytest.param("$nativecache build --nothing", id="usage"),
        pytest.param("umask 077; $nativecache $words -q", id="umask"),
        pytest.param("cat f.c | $nativecache build main.c -x c - -o app", id="a source on standard input"),
        pytest.param("$nativecache $words </dev/null -o /dev/stdout -q | sha256sum", id="to standard output"),
        pytest.param("$nativecache build main.c -x c <(cat f.c) -o app -q; ls app", id="substitution"),
        pytest.param("exec 9<f.c; $nativecache build main.c -x c /dev/fd/9 -o app -q", id="an open file"),
        pytest.param("mkdir -p gone; cd gone; rmdir ../gone; $nativecache $words", id="no folder"),
        pytest.param("TMPDIR=$PWD/no/where $nativecache $words", id="a folder for temporary files"),
        pytest.param("PATH=$PWD/bin:$PATH $nativecache $words 2>&1 | sed s/-[0-9a-f]*//", id="another clang"),
        pytest.param("nohup $nativecache $words", id="nohup"),
        pytest.param("$nativecache $words 2>/dev/full >/dev/full; echo $?", id="a full device"),
        pytest.param("set -o pipefail; $nativecache $words -v | true; echo ${PIPESTATUS[0]}", id="a pipe"),
    ],
)  # fmt: skip
def test_the_same_is_said_and_written(script: str, shared: Space) -> None:
    write(shared.folder, {"broken.c": "int f(int n) { return nothing; }\n", "w.h": "static int unused;\n"})
    write(shared.folder, {"bin/clang-22": "#!/bin/sh\necho 'another clang'\n"})
    (shared.folder / "bin" / "clang-22").chmod(0o755)
    both(shared, script)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("export LC_ALL=C; $nativecache build näh.c", id="names in another locale"),
        pytest.param("$nativecache $words >&-; echo $?", id="no standard output"),
    ],
)
def test_the_same_is_said_by_who_has_another_or_none(script: str, bare: Space) -> None:
    assert bare.run(*WORDS).returncode == 0
    bare.await_server()
    done = [bare.shell(script, NATIVECACHE_SERVER=server) for server in ("0", "1")]
    assert len({re.sub(r"\d+ ms|[a-z ]*, checked", "", one.stdout + one.stderr) for one in done}) == 1
    assert done[0].returncode == done[1].returncode
    assert bare.servers()[0].builds == 0


def test_images_of_edits_are_those_of_builds_without(served: Space) -> None:
    other = served.folder / "other"
    write(other, {name: (served.folder / name).read_text() for name in FILES})
    with_it = served.run(*WORDS, "--timings", COLUMNS="100")
    assert "1 compiled" in with_it.stdout
    without = subprocess.run([*COMMAND, *WORDS, "-q", "--no-cache"], cwd=other, env=served.environ())
    assert without.returncode == 0
    assert (other / "app").read_bytes() == (served.folder / "app").read_bytes()


def test_figures_are_those_of_the_build(served: Space) -> None:
    import json

    served.run(*WORDS, "--stats-json", "stats.json")
    figures = json.loads((served.folder / "stats.json").read_text())
    cpu = sum(phase["cpu"] for phase in figures["phases"].values())
    assert 0.01 < cpu < 5 and figures["wall_seconds"] < 5


def test_two_at_once(served: Space) -> None:
    slow_down(served)
    first = served.start(*WORDS, "--clang", "./slowclang", "-o", "first")
    until((served.folder / "busy").exists)
    (served.folder / "slow").unlink()
    assert served.run(*WORDS).returncode == 0
    until(lambda: served.servers()[0].active == 1)
    first.send_signal(signal.SIGINT)
    assert first.wait(20) == 130


def test_who_has_other_limits_has_another(bare: Space) -> None:
    """What is inherited cannot be taken over: limits, here, are in the name of the socket."""
    assert bare.run(*WORDS).returncode == 0
    bare.await_server()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    for script in (f"ulimit -n {soft // 2}; $nativecache $words", "ulimit -v 8000000; $nativecache $words"):
        bare.edit()
        assert bare.shell(script).returncode == 0
    until(lambda: len(bare.servers()) == 2)
    assert bare.builds == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("LD_LIBRARY_PATH", "/opt"), ("PYTHONHASHSEED", "1"), ("MALLOC_ARENA_MAX", "1"), ("LD_PRELOAD", "")],
)
def test_what_a_process_starts_with_it_does_itself(name: str, value: str, shared: Space) -> None:
    before = shared.builds
    shared.edit()
    assert shared.run(*WORDS, **{name: value}).returncode == 0
    assert shared.builds == before


def test_other_variables_take_effect(served: Space) -> None:
    before = (served.folder / "app").read_bytes()
    assert served.run(*WORDS, NATIVECACHE_OUTPUT="", NATIVECACHE_DEFINES="f=renamed").returncode == 0
    assert (served.folder / "app").read_bytes() != before
    served.edit()
    assert served.run("build", "main.c", "f.c", NATIVECACHE_OUTPUT="named", NATIVECACHE_DIR="here").stdout
    assert (served.folder / "named").exists() and (served.folder / "here").exists()
    assert not (Path("/") / "here").exists()


def test_a_terminal_shows_progress(served: Space) -> None:
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [*COMMAND, *WORDS],
        cwd=served.folder,
        env=served.environ(TERM="xterm"),
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    said = b""
    with suppress(OSError):  # the end of a terminal that nobody has open any more
        while data := os.read(leader, 4096):
            said += data
    os.close(leader)
    assert child.wait(20) == 0
    assert b"compiling" in said and b"functions from cache" in said


# How it ends


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_reach_the_build(number: signal.Signals, served: Space) -> None:
    image = (served.folder / "app").read_bytes()
    child = start_slow(served)
    os.killpg(child.pid, number)
    assert child.communicate(timeout=20)[0] == "nativecache: interrupted; what was compiled is kept\n"
    assert child.returncode == 128 + number
    until(lambda: served.servers()[0].active == 0)
    assert (served.folder / "app").read_bytes() == image
    assert not [path for path in served.folder.iterdir() if path.name.startswith((".app", "nativecache-"))]


def test_a_build_that_is_stopped_goes_on(served: Space) -> None:
    slow_down(served)
    (served.folder / "slowclang").write_text(SLOW_CLANG.replace("exec sleep 600", "sleep 1"))
    child = served.start(*WORDS, "--clang", "./slowclang")
    until((served.folder / "busy").exists)
    os.killpg(child.pid, signal.SIGTSTP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED)
    (build,) = children_of(served.servers()[0].process)
    until(lambda: Path(f"/proc/{build}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    os.killpg(child.pid, signal.SIGCONT)
    assert child.wait(20) == 0


def test_a_client_that_is_killed_has_its_build_killed(served: Space) -> None:
    child = start_slow(served)
    (build,) = children_of(served.servers()[0].process)
    child.kill()
    child.wait()
    until(lambda: not is_alive(build))
    until(lambda: served.servers()[0].active == 0)
    assert served.run(*WORDS).returncode == 0


def test_a_build_that_is_killed_has_its_client_end_likewise(served: Space) -> None:
    child = start_slow(served)
    (build,) = children_of(served.servers()[0].process)
    os.kill(build, signal.SIGKILL)
    assert child.wait(20) == -signal.SIGKILL
    assert served.run(*WORDS).returncode == 0


def test_where_the_server_is_killed_builds_are_done_to_their_end(bare: Space) -> None:
    assert bare.run(*WORDS).returncode == 0
    server = bare.await_server()
    bare.edit()
    slow_down(bare)
    (bare.folder / "slowclang").write_text(SLOW_CLANG.replace("exec sleep 600", "sleep 1"))
    child = bare.start(*WORDS, "--clang", "./slowclang")
    until((bare.folder / "busy").exists)
    os.kill(server.process, signal.SIGKILL)
    assert "from cache" in child.communicate(timeout=20)[0]
    assert child.returncode == 0
    # If the build is killed, too, the client says that it does not know.
    (bare.sockets / next(bare.sockets.glob("*.started")).name).unlink()
    bare.edit()
    assert bare.run(*WORDS).returncode == 0
    server = bare.await_server()
    bare.edit()
    child = start_slow(bare)
    (build,) = children_of(server.process)
    os.kill(server.process, signal.SIGKILL)
    until(lambda: not is_alive(server.process))
    os.kill(build, signal.SIGKILL)
    assert "was killed, and its server, too" in child.communicate(timeout=20)[0]
    assert child.returncode == 1


def test_told_to_end_it_does_the_build_that_it_has_begun(bare: Space) -> None:
    assert bare.run(*WORDS).returncode == 0
    server = bare.await_server()
    bare.edit()
    slow_down(bare)
    (bare.folder / "slowclang").write_text(SLOW_CLANG.replace("exec sleep 600", "sleep 1"))
    child = bare.start(*WORDS, "--clang", "./slowclang")
    until((bare.folder / "busy").exists)
    assert bare.run("server", "stop").returncode == 0
    assert not list(sockets(str(bare.sockets)))
    assert child.wait(20) == 0
    until(lambda: not is_alive(server.process))


def children_of(process: int) -> list[int]:
    """Processes of a parent, those of builds that have just ended left out."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == process:
                found.append(int(folder.name))
    return [child for child in found if is_alive(child)]
