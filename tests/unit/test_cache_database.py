"""The store in one file: damage, forks, kills and other processes cost misses, and no file is left behind."""

import errno
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from harness import build, clean_environment
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rules import write
from stores import SQLITE

from nativecache.cache.audit import check_entries
from nativecache.cache.database import Database
from nativecache.cache.entry import Entry
from nativecache.cache.folder import (
    clear,
    find_abandoned,
    find_database,
    find_entries,
    find_temporaries,
    remove,
    total,
)
from nativecache.cache.layout import pointer_path
from nativecache.cache.limits import Limits
from nativecache.cache.lookup import EntryStore
from nativecache.cache.prune import prune
from nativecache.cache.sqlite_store import SqliteStore, drop_database

KEY, OTHER_KEY = "ab" + "0" * 62, "cd" + "1" * 62
SIZES = (100, 3000, 5000, 20_000)


def key(n: int) -> str:
    return f"{n:064x}"


def fill(root: Path, count: int, size: int = 0) -> EntryStore:
    """Entries of many sizes, or of one."""
    store = EntryStore(SqliteStore(root, warn=pytest.fail))
    for n in range(count):
        store.save(Entry(key(n), payload(n, size), {"milliseconds": n}))
    return store


def payload(n: int, size: int = 0) -> bytes:
    """Bytes that no folding makes fewer."""
    return random.Random(n).randbytes(size or SIZES[n % len(SIZES)])


def files_in(root: Path) -> set[str]:
    return {path.name for path in (root / "v1").iterdir() if path.is_file()}


# Damage


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole") / "cache"
    fill(root, 40)
    return root


DAMAGE = ("flip", "cut", "zeros", "rubbish", "page", "log", "folder", "loop", "fifo", "gone")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_damaged_database_is_misses_and_one_line(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    root = tmp_path / "cache"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(whole, root)
    file = SQLITE.file(root)
    text = bytearray(file.read_bytes())
    # Any byte, or one of the first pages: there is the structure.
    at = data.draw(st.integers(0, len(text) - 1) | st.integers(0, 8191) | st.integers(0, 199))
    kind = data.draw(st.sampled_from(DAMAGE))
    if kind == "flip":
        text[at] ^= data.draw(st.integers(1, 255))
    elif kind == "zeros":
        text[at : at + 4096] = bytes(len(text[at : at + 4096]))
    elif kind == "rubbish":
        text = bytearray(os.urandom(data.draw(st.integers(1, 9000))))
    elif kind == "page":
        text[4096:8192] = text[-4096:]
    elif kind == "log":
        Path(f"{file}-wal").write_bytes(data.draw(st.binary(max_size=200)))
        Path(f"{file}-shm").write_bytes(data.draw(st.binary(max_size=200)))
    file.write_bytes(text[:at] if kind == "cut" else text)
    if kind in ("folder", "loop", "fifo", "gone"):
        file.unlink()
    if kind == "folder":
        file.mkdir()
    elif kind == "loop":
        file.symlink_to(file.name)
    elif kind == "fifo":
        os.mkfifo(file)

    # What was read before the damage was met goes with the rest: the second build may miss that.
    for most_warnings, may_miss in ((1, True), (0, True), (0, False)):
        warnings: list[str] = []
        store = EntryStore(SqliteStore(root, warn=warnings.append))
        for n in range(40):
            found = store.load(key(n))
            expected = payload(n)
            assert found is None or found.payload == expected
            if found is None:
                assert may_miss
                store.save(Entry(key(n), expected, {"milliseconds": n}))
        assert len(warnings) <= most_warnings, warnings
    list(check_entries(root, keep=False))  # what nobody has asked for may be damaged still
    assert not any(check_entries(root, keep=False))


def test_a_database_of_another_kind_is_damage(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    file = SQLITE.file(tmp_path)
    file.unlink()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE entries (other)")
    warnings: list[str] = []
    store = SqliteStore(tmp_path, warn=warnings.append)
    assert store.get(KEY) is None
    store.put(KEY, b"value")
    assert store.get(KEY) == b"value"
    assert warnings == [
        f"cache folder {tmp_path} held a damaged database (no such column: key), which is begun anew"
    ]
    assert SQLITE.file(tmp_path) != file and not file.exists()


def test_what_is_read_only_is_not_mended(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    SQLITE.file(tmp_path).write_bytes(b"rubbish" * 1000)
    warnings: list[str] = []
    store = SqliteStore(tmp_path, read_only=True, warn=warnings.append)
    assert store.get(KEY) is store.get(OTHER_KEY) is None
    assert warnings == [
        f"cache folder {tmp_path} cannot be read: file is not a database; building without what is in it"
    ]
    assert SQLITE.file(tmp_path).read_bytes() == b"rubbish" * 1000


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("name", ["", "-wal", "-shm", "database"])
def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path, name: str, read_only: bool) -> None:
    fill(tmp_path, 1)
    fifo = Path(pointer_path(tmp_path) if name == "database" else f"{SQLITE.file(tmp_path)}{name}")
    fifo.unlink(missing_ok=True)
    os.mkfifo(fifo)
    warnings: list[str] = []
    store = SqliteStore(tmp_path, read_only=read_only, warn=warnings.append)
    assert store.get(key(0)) is None and len(warnings) == 1
    store.put(KEY, b"value")
    # The name alone is not replaced: what it stands for cannot be told.
    assert (store.get(KEY) is None) == (read_only or name == "database") == fifo.exists()
    assert len(warnings) == 1 and "Not a plain file" in warnings[0]
    list(check_entries(tmp_path, keep=False))
    clear(tmp_path, time.time())


@pytest.mark.parametrize("pointer", [b"", b"rubbish", b"../../../../../../x\n", b"0" * 16])
def test_a_damaged_name_is_begun_anew(tmp_path: Path, pointer: bytes) -> None:
    fill(tmp_path, 1)
    Path(pointer_path(tmp_path)).write_bytes(pointer)
    warnings: list[str] = []
    store = SqliteStore(tmp_path, warn=warnings.append)
    assert store.get(key(0)) is None
    store.put(KEY, b"value")
    assert store.get(KEY) == b"value" and len(warnings) == 1
    old = [found for found in find_abandoned(tmp_path, time.time() + 4000) if found.path.endswith(".sqlite")]
    assert len(remove(old)) == 1 and store.get(KEY) == b"value", "what nothing names is swept"


@pytest.mark.parametrize(
    "damage", ["payloads SET value = 'text'", "payloads SET value = NULL", "entries SET used = ''"]
)
def test_a_row_of_other_types_is_a_miss(tmp_path: Path, damage: str) -> None:
    store = fill(tmp_path, 1)
    SQLITE.execute(tmp_path, f"UPDATE {damage}")
    assert store.load(key(0)) is None
    assert prune(tmp_path, Limits(None, None, 1)) is not None
    store.save(Entry(key(0), b"new", {}))
    assert EntryStore(SqliteStore(tmp_path, warn=pytest.fail)).load(key(0))


def test_a_row_of_two_keys_mends(tmp_path: Path) -> None:
    store = fill(tmp_path, 2)
    SQLITE.execute(tmp_path, "UPDATE entries SET id = 1")
    for _ in range(2):
        for n in range(2):
            if store.load(key(n)) is None:
                store.save(Entry(key(n), b"", {}))
    assert all(store.load(key(n)) for n in range(2))


# Others at work


def in_child(action: Callable[[], object]) -> int:
    """The exit code of an action in a fork of this process, which ends like FrontCache's."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_fork_carries_no_connection(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, warn=pytest.fail)
    store.put(KEY, b"parent's")

    def use() -> None:
        files = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
        assert not [file for file in files if ".sqlite" in file]
        assert store.get(KEY) == b"parent's"
        store.put(OTHER_KEY, b"child's")

    assert in_child(use) == 0
    assert (store.get(KEY), store.get(OTHER_KEY)) == (b"parent's", b"child's")


def test_forks_and_threads_at_once(tmp_path: Path) -> None:
    """What build.py does: one thread stores while another forks workers."""
    from concurrent.futures import ThreadPoolExecutor

    store = SqliteStore(tmp_path, warn=pytest.fail)

    def put_all() -> None:
        for n in range(300):
            store.put(key(n), b"value" * 100)

    with ThreadPoolExecutor(1) as executor:
        done = executor.submit(put_all)
        while not done.done():
            assert in_child(lambda: store.put(OTHER_KEY, b"child's")) == 0
    assert len(list(find_entries(tmp_path))) == 301


def put_for_ever(root: Path) -> None:
    store = EntryStore(SqliteStore(root))
    for n in range(10**6):
        store.save(Entry(key(n), bytes(5000), {}))
        print(n, flush=True)


def test_a_kill_loses_nothing_that_was_put(tmp_path: Path) -> None:
    read, wrote = os.pipe()
    context: Any = multiprocessing.get_context("fork")
    for _ in range(4):
        process = context.Process(target=_into, args=(wrote, tmp_path / "cache"))
        process.start()
        said = b""
        while said.count(b"\n") < 100:
            said += os.read(read, 1000)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        warnings: list[str] = []
        store = EntryStore(SqliteStore(tmp_path / "cache", warn=warnings.append))
        assert all(store.load(key(n)) for n in range(said.count(b"\n"))) and not warnings
    assert not any(check_entries(tmp_path / "cache", keep=False))


def _into(descriptor: int, root: Path) -> None:
    with open(descriptor, "w") as sys.stdout:
        put_for_ever(root)


def test_a_database_that_others_remove_is_noticed(tmp_path: Path) -> None:
    one, other = (SqliteStore(tmp_path, warn=pytest.fail) for _ in range(2))
    one.put(KEY, b"old")
    assert other.get(KEY) == b"old"
    drop_database(tmp_path)
    assert one.get(KEY) is None
    other.put(KEY, b"new")
    assert one.get(KEY) == b"new"
    one.close()
    other.close()
    assert len(files_in(tmp_path)) == 3, "a database, its name, and the folder's tag"


def test_a_name_that_was_put_up_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, 1)
    replace = os.replace

    def be_late(source: str, target: str) -> None:
        monkeypatch.setattr(os, "replace", replace)
        drop_database(tmp_path)
        SqliteStore(tmp_path).put(KEY, b"theirs")
        replace(source, target)

    monkeypatch.setattr(os, "replace", be_late)
    drop_database(tmp_path)
    assert SqliteStore(tmp_path, warn=pytest.fail).get(KEY) == b"theirs"
    assert list(find_temporaries(tmp_path)) == []


def test_who_comes_second_takes_the_firsts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def be_second(source: str, target: str) -> None:
        monkeypatch.setattr(os, "link", link)
        SqliteStore(tmp_path, warn=pytest.fail).put(OTHER_KEY, b"first's")
        link(source, target)

    monkeypatch.setattr(os, "link", be_second)
    store = SqliteStore(tmp_path, warn=pytest.fail)
    store.put(KEY, b"second's")
    assert (store.get(KEY), store.get(OTHER_KEY)) == (b"second's", b"first's")
    assert len(list(find_entries(tmp_path))) == 2 and list(find_temporaries(tmp_path)) == []


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: str, target: str) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    store = SqliteStore(tmp_path, warn=pytest.fail)
    store.put(KEY, b"value")
    assert SqliteStore(tmp_path, warn=pytest.fail).get(KEY) == b"value"
    assert list(find_temporaries(tmp_path)) == []


def test_a_database_that_cannot_be_opened_now_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no file descriptors left, say: that is no damage, and it is opened to write when it can be."""
    fill(tmp_path, 1)
    file = SQLITE.file(tmp_path)
    connect = sqlite3.connect
    warnings: list[str] = []
    store = SqliteStore(tmp_path, warn=warnings.append)

    def refuse(name: str, **settings: Any) -> Any:
        return connect(name.replace(str(tmp_path), "/nowhere") if "mode=rw" in name else name, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", refuse)
        assert store.get(key(0)) is None
        store.put(KEY, b"value")
    store.put(KEY, b"value")
    assert store.get(key(0)) and store.get(KEY) == b"value"
    assert file.exists() and len(warnings) == 1


@pytest.mark.parametrize("another", [False, True])
def test_a_database_that_goes_while_it_is_opened_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, another: bool
) -> None:
    fill(tmp_path, 1)
    file = SQLITE.file(tmp_path)
    connect = sqlite3.connect

    def be_late(name: str, **settings: Any) -> Any:
        if name.startswith(f"file://{file}") and file.exists():
            drop_database(tmp_path)
            if another:
                SqliteStore(tmp_path, warn=pytest.fail).put(OTHER_KEY, b"theirs")
        return connect(name, **settings)

    monkeypatch.setattr(sqlite3, "connect", be_late)
    store = SqliteStore(tmp_path, warn=pytest.fail)
    store.put(KEY, b"value")
    assert (store.get(KEY), store.get(OTHER_KEY)) == (b"value", b"theirs" if another else None)
    assert not file.exists() and list(find_temporaries(tmp_path)) == []


def test_a_reader_sees_what_a_writer_does(tmp_path: Path) -> None:
    writer = SqliteStore(tmp_path, warn=pytest.fail)
    writer.put(KEY, b"old")
    reader = SqliteStore(tmp_path, read_only=True, warn=pytest.fail)
    assert reader.get(KEY) == b"old"
    writer.put(KEY, b"new")
    assert reader.get(KEY) == b"new"


def test_a_lock_that_is_kept_costs_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nativecache.cache.database._PATIENCE", 0.05)
    warnings: list[str] = []
    store = SqliteStore(tmp_path, warn=warnings.append)
    store.put(KEY, b"value")
    with closing(sqlite3.connect(SQLITE.file(tmp_path), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.put(KEY, b"other")
        store.put(OTHER_KEY, b"other")
        assert store.get(KEY) == b"value", "readers never wait"
    assert warnings == [
        f"cache folder {tmp_path} cannot be written: database is locked; building without storing"
    ]
    store.put(OTHER_KEY, b"other")
    assert store.get(OTHER_KEY) == b"other"


# The folder


def test_pruning_gives_room_back(tmp_path: Path) -> None:
    fill(tmp_path, 400)
    full = SQLITE.file(tmp_path).stat().st_size
    done = prune(tmp_path, Limits(None, None, 100))
    assert done is not None and done.entries == 310
    assert SQLITE.file(tmp_path).stat().st_size < full / 3
    left = {found.key for found in find_entries(tmp_path)}
    assert left < {key(n) for n in range(400)} and key(0) not in left
    assert not any(check_entries(tmp_path, keep=False))


def test_a_value_that_is_replaced_takes_no_more_room(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, warn=pytest.fail)
    for n in range(50):
        store.put(KEY, bytes([n]) * 5000)
    assert SQLITE.execute(tmp_path, "SELECT count(*) FROM payloads") == [(1,)]


def test_sizes_are_those_of_the_disk(tmp_path: Path) -> None:
    for size in (0, 1000, 6000):
        root = tmp_path / str(size)
        fill(root, 500, size)
        estimate = total(find_entries(root))[1]
        assert estimate == pytest.approx(SQLITE.file(root).stat().st_size, rel=0.3)


def test_clear_removes_the_database(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    assert clear(tmp_path, time.time())[0] == 1
    assert files_in(tmp_path) == {"CACHEDIR.TAG"}
    assert clear(tmp_path, time.time()) == (0, 0)


def test_a_linked_database_is_not_ours(tmp_path: Path) -> None:
    fill(tmp_path / "theirs", 2)
    theirs = SQLITE.file(tmp_path / "theirs")
    fill(tmp_path / "cache", 2)
    ours = SQLITE.file(tmp_path / "cache")
    ours.unlink()
    ours.symlink_to(theirs)
    assert find_database(tmp_path / "cache") is None
    assert list(find_entries(tmp_path / "cache")) == []
    clear(tmp_path / "cache", time.time())
    assert theirs.exists() and len(list(find_entries(tmp_path / "theirs"))) == 2


def test_awkward_names(tmp_path: Path) -> None:
    root = tmp_path / os.fsdecode(b"a%20b?mode=ro#c \xff") / "d"
    fill(root, 1)
    assert EntryStore(SqliteStore(root, warn=pytest.fail)).load(key(0))
    assert EntryStore(SqliteStore(root, read_only=True, warn=pytest.fail)).load(key(0))


def test_an_open_database_says_whether_it_is_there(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    database = Database(str(SQLITE.file(tmp_path)), read_only=False)
    assert database.is_there()
    SQLITE.file(tmp_path).unlink()
    assert not database.is_there()
    database.close()
    assert files_in(tmp_path) == {"CACHEDIR.TAG", "database"}
    with pytest.raises(FileNotFoundError):
        Database(str(SQLITE.file(tmp_path)), read_only=True)


# Builds

WORDS = ("f.ll", "--emit", "object", "-o", "f.o")
FUNCTIONS = "".join(f"define i32 @f{n}() {{\n  ret i32 {n}\n}}\n" for n in range(20))


def test_a_build_with_nothing_to_do_opens_no_database(tmp_path: Path) -> None:
    write(tmp_path, {"f.ll": FUNCTIONS})
    for _ in range(2):
        time.sleep(0.03)
        done = build(tmp_path, *WORDS, "--store", "sqlite")
    assert "up to date" in done.stdout
    names = {path.name for path in (tmp_path / "cache" / "v1").rglob("*.o")}
    assert len(names) == 1, "the up-to-date record alone is a file"


@pytest.mark.slow
def test_the_image_is_that_of_any_store(tmp_path: Path) -> None:
    write(tmp_path, {"f.ll": FUNCTIONS})
    build(tmp_path, *WORDS, "--no-cache")
    expected = (tmp_path / "f.o").read_bytes()
    for words, misses in ((), 20), (("-v",), 0), (("-v", "--cache-mode=read-only"), 0):
        assert build(tmp_path, *WORDS, "--store=sqlite", *words).misses == misses
        assert (tmp_path / "f.o").read_bytes() == expected
    assert build(tmp_path, *WORDS, "-v", "--store=files").misses == 20
    bad = build(tmp_path, *WORDS, "--store=redis", check=False)
    assert bad.exit_code == 2
    write(tmp_path / "cache", {"config.toml": 'store = "redis"\n'})
    bad = build(tmp_path, *WORDS, "-v", check=False)
    assert bad.exit_code == 2 and "config.toml: store: 'redis' is none of files, sqlite" in bad.stderr
    write(tmp_path / "cache", {"config.toml": 'store = "sqlite"\nmax-size = "1G"\n'})
    assert build(tmp_path, *WORDS, "-v").misses == 0


@pytest.mark.parametrize(("store", "expected"), [("files", False), ("sqlite", True)])
def test_only_who_wants_it_loads_sqlite(tmp_path: Path, store: str, expected: bool) -> None:
    write(tmp_path, {"f.ll": FUNCTIONS})
    script = (
        "import sys\nfrom nativecache.cli.main import run\n"
        f"assert run(['build', *{WORDS!r}, '--store', '{store}', '-q']) == 0\n"
        "print('sqlite3' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=clean_environment() | {"NATIVECACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(expected)
