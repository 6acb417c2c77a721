"""Where the machine fails, not the cache: builds end well, and say in one line what they do without."""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from harness import ROOT, BuildResult, build, clean_environment, needs_clang, needs_lld, needs_mold
from rules import write
from stores import FILES, Kind

from nativecache.cache.audit import check_entries
from nativecache.cache.counters import add_counts
from nativecache.cache.folder import clear, find_entries, find_temporaries
from nativecache.cache.limits import Limits
from nativecache.cache.prune import prune


def functions(count: int) -> str:
    return "".join(f"define i32 @f{n}() {{\n  ret i32 {n}\n}}\n" for n in range(count))


WORDS = ("f.ll", "--emit", "object", "-o", "f.o")


@pytest.fixture
def store(kind: Kind, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds use each kind of store."""
    folder = tmp_path_factory.mktemp("config")
    (folder / "nativecache").mkdir()
    write(folder, {"nativecache/config.toml": f'store = "{kind.name}"\n'})
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))


in_each_store = pytest.mark.usefixtures("store")


@pytest.fixture
def space(tmp_path: Path) -> Path:
    """A folder with a program, and the image that it should give."""
    fill(tmp_path)
    return tmp_path


def fill(space: Path) -> None:
    write(space, {"f.ll": functions(30)})
    build(space, *WORDS, "--no-cache")
    (space / "f.o").rename(space / "expected")


def assert_right(space: Path) -> None:
    assert (space / "f.o").read_bytes() == (space / "expected").read_bytes()
    (space / "f.o").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 128 KiB, on which three functions have room, and thirty have not."""
    folder = tmp_path / "disk"
    folder.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", "size=128k,mode=700", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs to be allowed to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@in_each_store
def test_a_full_disk(space: Path, disk: Path) -> None:
    for _ in range(2):
        result = build(space, *WORDS, "-v", env={"NATIVECACHE_DIR": str(disk / "cache")})
        (line,) = result.stderr.splitlines()
        assert "cannot be written: No space left on device; building without storing" in line
        assert_right(space)
    assert list(find_temporaries(disk / "cache")) == []
    assert not any(check_entries(disk / "cache", keep=False))


@in_each_store
def test_a_disk_that_is_read_only(space: Path, disk: Path) -> None:
    folder = {"NATIVECACHE_DIR": str(disk)}
    write(space, {"f.ll": functions(3)})
    cold = build(space, *WORDS, env=folder)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    warm = build(space, *WORDS, "-v", env=folder)
    assert (cold.hits, warm.misses) == (0, 0)
    assert len(warm.stderr.splitlines()) <= 1
    write(space, {"f.ll": functions(30)})
    (line,) = build(space, *WORDS, env=folder).stderr.splitlines()
    assert "cannot be written: Read-only file system; building without storing" in line
    assert_right(space)
    for words in (("stats",), ("info",), ("verify",)):
        assert command(*words, folder=disk).returncode == 0
    for words in (("zero",), ("prune",)):
        done = command(*words, folder=disk)
        assert done.returncode == 1 and "Traceback" not in done.stderr


def command(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nativecache.cli.start", "cache", *words],
        env=clean_environment() | {"NATIVECACHE_DIR": str(folder)},
        capture_output=True,
        text=True,
    )


@in_each_store
def test_a_folder_that_vanishes_again_and_again(space: Path) -> None:
    ended = threading.Event()

    def delete() -> None:
        while not ended.wait(0.005):
            shutil.rmtree(space / "cache", ignore_errors=True)

    thread = threading.Thread(target=delete)
    thread.start()
    try:
        for _ in range(2):
            result = build(space, *WORDS, "-v")
            assert len(result.stderr.splitlines()) <= 1
            assert_right(space)
    finally:
        ended.set()
        thread.join()


@in_each_store
def test_pruning_and_clearing_all_the_time(space: Path) -> None:
    ended = threading.Event()

    def prune_and_clear() -> None:
        while not ended.wait(0.02):
            prune(space / "cache", Limits(None, None, 3))
            clear(space / "cache", time.time())

    thread = threading.Thread(target=prune_and_clear)
    thread.start()
    try:
        for _ in range(2):
            assert build(space, *WORDS, "-v").stderr == ""
            assert_right(space)
    finally:
        ended.set()
        thread.join()
    assert not any(check_entries(space / "cache", keep=False))


@in_each_store
def test_a_file_in_place_of_the_folder(space: Path) -> None:
    (space / "cache").write_text("mine")
    (line,) = build(space, *WORDS).stderr.splitlines()
    assert "cache cannot be read: Not a directory" in line
    assert_right(space)
    assert (space / "cache").read_text() == "mine"
    for words in (("info",), ("stats",), ("verify",), ("clear",), ("zero",), ("prune",), ("path",)):
        done = command(*words, folder=space / "cache")
        assert done.returncode == (words[0] in ("info", "verify", "clear")), (words, done.stderr)
        assert len(done.stderr.splitlines()) == done.returncode
    assert (space / "cache").read_text() == "mine"


def test_no_home(space: Path) -> None:
    environment = dict.fromkeys(("NATIVECACHE_DIR", "HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), "")
    result = build(space, *WORDS, env=environment | {"TMPDIR": str(space)})
    assert result.stderr == ""
    assert_right(space)
    (folder,) = space.glob("nativecache-*")
    assert list(find_entries(folder / "nativecache")) and folder.stat().st_mode & 0o777 == 0o700
    assert build(space, *WORDS, env=environment | {"TMPDIR": str(space)}).misses == 0


def test_names_as_long_as_they_may_be(space: Path) -> None:
    source, output, cache = "s" * 252 + ".ll", "o" * 255, "c" * 255
    (space / "f.ll").rename(space / source)
    words = (source, "--emit", "object", "-o", output)
    folder = {"NATIVECACHE_DIR": str(space / cache)}
    assert build(space, *words, env=folder).stderr == ""
    assert build(space, *words, "-v", env=folder).misses == 0
    assert (space / output).read_bytes() == (space / "expected").read_bytes()
    assert command("verify", folder=space / cache).returncode == 0
    export = command("export", "--used-by", str(space / output), "-o", "b" * 255, folder=space / cache)
    assert export.returncode in (0, 1) and "Traceback" not in export.stderr
    Path("b" * 255).unlink(missing_ok=True)


MAIN = "define i32 @main() {\n  ret i32 0\n}\n"
IMAGE = ("f.ll", "-o", "f")


def limited(space: Path, kilobytes: int, *words: str) -> BuildResult:
    """A build in which no file may become larger."""
    limit = f'ulimit -f {kilobytes} && exec "$@"'
    done = subprocess.run(
        ["bash", "-c", limit, "bash", sys.executable, "-m", "nativecache.cli.start", "build", *words],
        cwd=space,
        env=clean_environment() | {"NATIVECACHE_DIR": str(space / "cache")},
        capture_output=True,
        text=True,
    )
    return BuildResult(done.returncode, done.stdout, done.stderr, {})


@in_each_store
def test_files_that_are_too_large_for_the_cache(space: Path, kind: Kind) -> None:
    # What is noted about functions is larger than an image with none of them.
    write(space, {"f.ll": functions(1500) + MAIN})
    build(space, *IMAGE)
    expected = (space / "f").read_bytes()
    sizes = sorted(entry.size for entry in find_entries(space / "cache"))
    limit = sizes[-1] // 2 // 1024
    assert len(expected) < limit * 1024 and sizes[0] < limit * 1024
    for name in ("cold", "warm"):
        if name == "cold":
            shutil.rmtree(space / "cache")
        else:  # a build that has nothing to keep writes nothing
            write(space, {"f.ll": functions(1500) + MAIN + "; the end\n"})
        (space / "f").unlink()
        result = limited(space, limit, *IMAGE)
        (line,) = result.stderr.splitlines()
        assert result.exit_code == 0
        reason = "File too large" if kind is FILES else "disk I/O error"  # SQLite says no more
        assert f"cannot be written: {reason}; building without storing" in line
        assert (space / "f").read_bytes() == expected
        assert list(find_entries(space / "cache")) and not list(find_temporaries(space / "cache"))
    assert build(space, *IMAGE).stderr == ""


@pytest.mark.parametrize(
    "linker", [pytest.param("lld", marks=needs_lld), pytest.param("mold", marks=needs_mold), "bfd"]
)
def test_an_image_that_is_too_large(space: Path, linker: str) -> None:
    write(space, {"f.ll": MAIN})
    (space / "f").write_text("older")
    result = limited(space, 2, *IMAGE, "--linker", linker, "--no-cache")
    assert result.exit_code == 3
    (line,) = result.stderr.splitlines()
    assert "arge" in line and "Stack dump" not in line
    assert (space / "f").read_text() == "older"
    assert not list(space.glob(".*"))


@pytest.mark.parametrize("emit", ["exe", "object", "archive", "asm", "bitcode"])
def test_an_output_that_is_too_large(space: Path, emit: str) -> None:
    write(space, {"f.ll": functions(100) + MAIN})
    result = limited(space, 1, "f.ll", "--emit", emit, "-o", "f", "--no-cache")
    assert result.exit_code in (1, 3)
    (line,) = result.stderr.splitlines()
    assert line.startswith("nativecache: error: ") and "arge" in line
    assert not (space / "f").exists() and not list(space.glob(".*"))


@needs_clang
def test_clang_may_not_write_so_much(space: Path) -> None:
    write(space, {"f.c": "".join(f"int f{n}(int x) {{ return x * {n}; }}\n" for n in range(300))})
    result = limited(space, 8, "f.c", "--emit", "object", "-o", "f.o")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "f.c: what clang makes of it is larger than files may be" in result.stderr
    assert not (space / "f.o").exists()


def test_no_room_for_temporary_files(space: Path, disk: Path) -> None:
    write(space, {"f.ll": functions(400)})
    words = ("f.ll", "--emit", "shared", "-o", "f.so", "--no-cache")
    result = build(space, *words, env={"TMPDIR": str(disk)}, check=False)
    assert result.exit_code == 1
    assert result.stderr == f"nativecache: error: {disk}: cannot be written: No space left on device\n"
    assert not (space / "f.so").exists() and not list(disk.iterdir())


def test_an_output_folder_that_is_full(space: Path, disk: Path) -> None:
    write(space, {"f.ll": functions(200)})
    (disk / "filler").write_bytes(bytes(120 << 10))
    output = disk / "f"
    output.write_text("older")
    for emit in ("shared", "object", "archive", "asm", "bitcode"):
        result = build(space, "f.ll", "--emit", emit, "-o", output, check=False)
        assert result.exit_code in (1, 3), emit
        (line,) = result.stderr.splitlines()
        assert line.startswith("nativecache: error: "), emit
        assert output.read_text() == "older" and len(list(disk.iterdir())) == 2, emit


@pytest.mark.parametrize(
    "linker", ["bfd", pytest.param("lld", marks=needs_lld), pytest.param("mold", marks=needs_mold)]
)
def test_an_image_that_is_larger_than_the_disk(space: Path, disk: Path, linker: str) -> None:
    write(space, {"big.ll": '@big = global [300000 x i8] c"' + "a" * 300000 + '"\n'})
    result = build(
        space, "big.ll", "-q", "--emit", "shared", "--linker", linker, "-o", disk / "f", check=False
    )
    (line,) = result.stderr.splitlines()
    assert result.exit_code == 3 and f"cannot write {disk}/f: " in line and not list(disk.iterdir())


def test_things_that_are_no_entries(space: Path) -> None:
    things: list[Callable[[Path], None]] = [
        os.mkfifo,
        Path.mkdir,
        lambda path: path.symlink_to(path),
        lambda path: path.symlink_to(path.with_suffix(".gone")),
        lambda path: path.symlink_to("/dev/zero"),
    ]
    build(space, *WORDS)
    cache = space / "cache"
    add_counts(cache, {"builds": 1}, now=1_600_000_000)
    paths = [*cache.glob("v1/??/*.o"), *cache.glob("v1/statistics/*")]
    assert len(paths) >= 40
    for n, path in enumerate(paths):
        path.unlink()
        things[n % len(things)](path)
    for name in ("v1/pruned", "v1/statistics/total", "v1/statistics/lock", "config.toml", "CACHEDIR.TAG"):
        (cache / name).unlink(missing_ok=True)
        os.mkfifo(cache / name)
    result = build(space, *WORDS, "-v")
    assert (len(result.stderr.splitlines()), result.hits) == (1, 0)
    assert_right(space)
    for words in (("info",), ("stats",), ("verify",), ("prune", "--max-files", "9")):
        done = command(*words, folder=cache)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), (words, done.stderr)
    # What a file can be moved onto is an entry again.
    folders = sum(path.is_dir() for path in paths)
    build(space, *WORDS, "-q")
    assert 0 < build(space, *WORDS, "-v").misses <= folders
    assert_right(space)


def test_links_in_place_of_the_folder(space: Path) -> None:
    for name, target in (("nowhere", "gone/gone"), ("loop", "loop")):
        (space / name).symlink_to(target)
        folder = {"NATIVECACHE_DIR": str(space / name)}
        (line,) = build(space, *WORDS, env=folder).stderr.splitlines()
        assert line.startswith(f"nativecache: warning: cache folder {space / name} cannot be")
        assert_right(space)
        for words in (("info",), ("stats",), ("prune",)):
            done = command(*words, folder=space / name)
            assert done.returncode == ((name, *words) == ("loop", "info")), (words, done.stderr)


def test_a_folder_to_work_in_that_is_gone(space: Path) -> None:
    script = f'mkdir gone; cd gone; rmdir ../gone; exec {sys.executable} -m nativecache.cli.start "$@"'
    for words in (("build", str(space / "f.ll"), "-o", str(space / "f.o")), ("cache", "stats")):
        done = subprocess.run(
            ["bash", "-c", script, "bash", *words], cwd=space, capture_output=True, text=True
        )
        assert "Traceback" not in done.stderr
        if words[0] == "build":
            assert (done.returncode, done.stderr.count("\n")) == (1, 1)
            assert "the current folder cannot be used: No such file or directory" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_nobody_can_be_told(space: Path) -> None:
    script = f"exec {sys.executable} -m nativecache.cli.start {{}}"
    environment = clean_environment() | {"NATIVECACHE_DIR": str(space / "cache"), "PYTHONUNBUFFERED": ""}

    def shell(words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", script.format(words)], cwd=space, env=environment, capture_output=True, text=True
        )

    for _ in ("built", "up to date"):
        done = shell(f"build {' '.join(WORDS)} >/dev/full")
        assert done.stderr == "nativecache: error: standard output: No space left on device\n"
        assert done.returncode == 1
        assert_right(space)
    for closed in (">&-", "2>&-", "<&-", ">&- 2>&- <&-"):
        assert shell(f"build {' '.join(WORDS)} -v {closed}").returncode == 0
        assert_right(space)
    assert shell("cache info --json | head -c1").stderr == ""


#: A user who owns nothing.
NOBODY = 65534


@dataclass(frozen=True)
class Shared:
    """A folder that other users may write to, a Python that they may run, and what their builds store in."""

    space: Path
    cache: Path
    python: str
    kind: Kind

    def as_root(self, *words: str, check: bool = True) -> BuildResult:
        return build(self.space, *words, env={"NATIVECACHE_DIR": str(self.cache)}, check=check)

    def as_nobody(self, *words: str) -> subprocess.CompletedProcess[str]:
        installed = [path for path in sys.path if path.endswith("site-packages")]
        return subprocess.run(
            [self.python, "-m", "nativecache.cli.start", *words],
            cwd=self.space,
            env=clean_environment()
            | {"NATIVECACHE_DIR": str(self.cache), "NATIVECACHE_STORE": self.kind.name}
            | {"TMPDIR": str(self.space), "HOME": str(self.space)}
            | {"PYTHONPATH": os.pathsep.join([str(ROOT / ".types"), *installed])},
            capture_output=True,
            text=True,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
        )


@pytest.fixture
def shared(kind: Kind) -> Iterator[Shared]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to be another user")
    # Not pytest's folder, which each of its runs on a machine closes to others.
    with TemporaryDirectory(prefix="nativecache-shared-") as folder:
        # The cache is not in it: a folder below one that others may change would be trusted by nobody.
        Path(folder).chmod(0o755)
        space = Path(folder, "space")
        space.mkdir()
        fill(space)
        space.chmod(0o777)
        for python in (sys.executable, "/usr/bin/python3"):
            with contextlib.suppress(OSError):
                shared = Shared(space, Path(folder, "cache"), python, kind)
                if shared.as_nobody("build", *WORDS, "--no-cache").returncode == 0:
                    assert_right(space)
                    yield shared
                    return
        pytest.skip("needs a Python that other users may run")


def test_the_folder_of_another_user(shared: Shared) -> None:
    space, cache = shared.space, shared.cache
    store = ("--store", shared.kind.name)
    shared.as_root(*WORDS, *store)
    (space / "f.o").unlink()
    # Root's, and closed: there is nothing to distrust in it, and nothing to be had.
    done = shared.as_nobody("build", *WORDS)
    (line,) = done.stderr.splitlines()
    assert (
        done.returncode == 0 and "cannot be read: Permission denied; building without what is in it" in line
    )
    assert_right(space)
    for words in (("info",), ("stats",), ("verify",), ("zero",), ("prune",), ("clear",)):
        done = shared.as_nobody("cache", *words)
        assert "Traceback" not in done.stderr and done.returncode in (0, 1), (words, done.stderr)
    # Root's, and open to read: entries are taken, none is stored.
    for path in (cache, *cache.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    done = shared.as_nobody("build", *WORDS, "--stats-json", "nobody.json")
    assert done.returncode == 0 and len(done.stderr.splitlines()) <= 1
    assert '"hits": 30' in (space / "nobody.json").read_text()
    assert_right(space)
    # The same with entries that may not be read.
    for path in (*cache.glob("v1/??/*.o"), *cache.glob("v1/*.sqlite")):
        path.chmod(0)
    done = shared.as_nobody("build", *WORDS)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 0 and "Permission denied" in line
    assert_right(space)
    # Another's than root's: refused, unless it is trusted.
    os.chown(cache, NOBODY, NOBODY)
    shared.as_nobody("build", *WORDS).check_returncode()
    assert_right(space)
    result = shared.as_root(*WORDS, *store, check=False)
    assert result.exit_code == 2 and "belongs to user 65534" in result.stderr
    assert not (space / "f.o").exists()
    assert shared.as_root(*WORDS, *store, "--trust-cache-dir").exit_code == 0
    assert_right(space)


def test_names_that_are_no_text(space: Path) -> None:
    output = os.fsdecode(b"\xff\xfe.o")
    build(space, *WORDS[:-1], output, "-q")
    assert build(space, *WORDS[:-1], output, "-q", "--no-opt").misses == 30
    assert build(space, *WORDS[:-1], output, "-q", "-j1").misses == 0
    assert (
        command(
            "export", "--used-by", str(space / output), "-o", str(space / "b.tar"), folder=space / "cache"
        ).returncode
        == 0
    )
