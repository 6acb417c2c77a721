"""Facts hold as long as what they are about does not change, however it came to be so."""

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nativecache.cache.dependencies import Dependency, decode, encode, measure, observe, say, still_valid
from nativecache.cache.since import CLOCK_LAG_NS, Since, files_time_ns, unchanged_since


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_files_content(tmp_path: Path) -> None:
    Path("a").write_text("one")
    dependencies = [observe("file", ("a",)), observe("file", ("missing",)), observe("file", (str(tmp_path),))]
    assert [value for _, value, _ in dependencies[1:]] == ["", ""]
    os.utime("a", (1, 1))
    assert still_valid(dependencies)
    Path("a").write_text("two")
    assert not still_valid(dependencies)
    Path("a").write_text("one")
    assert still_valid(dependencies)
    Path("missing").touch()
    assert not still_valid(dependencies)


def test_a_files_status_cannot_be_put_back() -> None:
    Path("a").write_text("one")
    dependency = observe("stat", ("a",))
    assert still_valid([dependency])
    before = os.stat("a")
    time.sleep(0.02)
    Path("a").write_text("two")
    os.utime("a", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not still_valid([dependency])
    assert measure("stat", ("missing",)) == ""


def test_a_program_is_where_its_links_end() -> None:
    for name in ("gcc-12", "gcc-13"):
        Path(name).write_text("same")
        os.utime(name, (1, 1))
    Path("cc").symlink_to("gcc-12")
    dependency = observe("program", ("cc",))
    Path("cc").unlink()
    Path("cc").symlink_to("gcc-13")
    assert not still_valid([dependency])
    assert measure("program", ("missing",)) == ""


def test_the_names_in_a_folder() -> None:
    dependencies = [observe("names", ("sub",))]
    Path("sub").mkdir()
    assert not still_valid(dependencies)
    dependencies = [observe("names", ("sub",))]
    Path("sub/a").touch()
    assert not still_valid(dependencies)
    Path("sub/a").unlink()
    assert still_valid(dependencies)


@pytest.mark.parametrize("name", ["x.h", "sub/x.h", "sub/deep/x.h", "../here/x.h"])
@pytest.mark.parametrize("folder", ["here", "here/"])
def test_which_names_are_found_where(name: str, folder: str) -> None:
    dependency = observe("found", ("there", folder, "", "y.h", name, "sub/y.h"))
    for path in ("here/z.h", "here/sub/z.h", "here/sub/deep/z.h", "elsewhere/x.h", "here/xh"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
        assert still_valid([dependency])
    Path(folder, name).touch()
    assert not still_valid([dependency])
    both = observe("found", ("there", folder, "", "y.h", name, "sub/y.h"))
    Path("there", name).parent.mkdir(parents=True, exist_ok=True)
    Path("there", name).touch()
    assert not still_valid([both]) or name.startswith("..")
    shutil.rmtree("there")
    assert still_valid([both])


def test_a_link_to_nowhere_is_not_found() -> None:
    Path("link").symlink_to("target")
    dependency = observe("found", (".", "", "link"))
    Path("target").touch()
    assert not still_valid([dependency])


@pytest.mark.parametrize("absolute", [False, True])
def test_a_folder_with_the_name_of_a_header(absolute: bool) -> None:
    """Compilers pass over it, and find the next file of that name."""
    Path("x.h").mkdir()
    dependency = observe("found", (".", "", os.path.abspath("x.h") if absolute else "x.h"))
    Path("x.h").rmdir()
    Path("x.h").touch()
    assert not still_valid([dependency])


def test_a_program_that_may_be_run_now() -> None:
    Path("ld").touch()
    dependencies = [observe(kind, (".", "", "ld")) for kind in ("programs", "found")]
    Path("ld").chmod(0o755)
    assert [still_valid([dependency]) for dependency in dependencies] == [False, True]
    Path("ld").chmod(0o644)
    assert still_valid(dependencies)


def test_a_memo_is_measured_once() -> None:
    memo: dict[tuple[str, tuple[str, ...]], str] = {}
    Path("a").write_text("one")
    dependency = observe("file", ("a",), memo)
    Path("a").write_text("two")
    assert still_valid([dependency], memo) and not still_valid([dependency])


def test_what_changed_since_is_not_settled() -> None:
    Path("sub").mkdir()
    Path("sub/a").write_text("one")
    Path("link").symlink_to("sub/a")
    dependencies = [
        observe("file", ("sub/a",)),
        observe("stat", ("sub/a",)),
        observe("file", ("link",)),
        observe("found", ("sub", "", "a")),
        observe("names", ("sub",)),
    ]
    time.sleep(0.02)
    now = time.time_ns()
    if not os.stat("sub/a").st_ctime_ns % 1_000_000_000:
        pytest.skip("this file system tells no fractions of a second")
    assert all(unchanged_since(dependency, now) for dependency in dependencies)
    assert not any(unchanged_since(dependency, now - 3_600_000_000_000) for dependency in dependencies)
    time.sleep(0.02)
    os.utime("sub/a", (1, 1))
    assert [unchanged_since(dependency, now) for dependency in dependencies] == [
        False,
        False,
        False,
        False,
        True,
    ]
    Path("sub/a").unlink()
    assert [unchanged_since(observe(kind, names), now) for kind, _, names in dependencies[:3]] == [
        False,
        False,
        False,
    ]


def test_files_that_are_the_same() -> None:
    for name in ("a", "b", "c"):
        Path(name).touch()
    dependency = observe("same", ("a", "missing", "b", "c", "gone"))
    assert dependency[1] == ""
    Path("missing").touch()
    assert still_valid([dependency])
    for make in (Path("c").hardlink_to, Path("c").symlink_to):
        Path("c").unlink()
        make("b")
        assert measure("same", dependency[2]) == "3=2"
    Path("c").unlink()
    assert still_valid([dependency])


def test_what_a_command_says() -> None:
    dependency = observe("said", ("sh", "-c", "cat text; cat err >&2; exit 3"))
    assert say(("sh", "-c", "echo a; echo b >&2")) == b"0\na\nb\n"
    assert say(("./nosuch",)) == b""
    Path("text").write_text("one")
    assert not still_valid([dependency])
    assert unchanged_since(dependency, 0)


def test_the_clock_of_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    behind, file = [], tmp_path / "f"
    for number in range(200):
        since = files_time_ns()
        file.write_text(str(number))  # at once
        assert not unchanged_since(observe("file", (str(file),)), since)
        behind.append(time.time_ns() - since)
    assert min(behind) <= CLOCK_LAG_NS
    monkeypatch.setattr(time, "clock_getres", lambda clock: 1e-9)
    assert -files_time_ns() + time.time_ns() >= CLOCK_LAG_NS


@pytest.mark.parametrize(
    ("written", "later"),
    [(7_000_000_001, 0), (7_010_000_000, 10_000_000), (7_000_000_000, 2_000_000_000)],
    ids=["fine", "exFAT", "FAT"],
)
def test_times_that_were_cut_off(written: int, later: int, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("f").touch()
    changed = SimpleNamespace(st_mode=os.lstat("f").st_mode, st_ctime_ns=written)
    monkeypatch.setattr(os, "lstat", lambda path: changed)
    assert not Since(written + later).stands("f")
    assert Since(written + later + 1).stands("f")


def settle() -> Since:
    time.sleep(0.03)
    since = Since(time.time_ns())
    if not os.stat(".").st_ctime_ns % 1_000_000_000:
        pytest.skip("this file system tells no fractions of a second")
    time.sleep(0.03)
    return since


@pytest.mark.parametrize(
    "path", ["a/b/c/f", "./a//b/c/f", "a/b/../b/c/f", "link/c/f", "loop/link/c/f", "{here}/a/b/c/f"]
)
def test_a_folder_on_the_way_that_was_moved(tmp_path: Path, path: str) -> None:
    Path("a/b/c").mkdir(parents=True)
    Path("a/b/c/f").write_text("one")
    Path("link").symlink_to("a/b")
    Path("loop").symlink_to(tmp_path)
    path = path.format(here=tmp_path)
    since = settle()
    assert unchanged_since(observe("file", (path,)), since)
    assert unchanged_since(observe("found", (os.path.dirname(path), "", "f")), since)
    for folder in ("a", "a/b/c", "a/b"):
        since = settle()
        Path(folder).rename("x")
        Path("x").rename(folder)
        Path(folder, "new").touch()
        Path(folder, "new").unlink()
        for dependency in (
            observe("file", (path,)),
            observe("found", (os.path.dirname(path), "", "f")),
            observe("stat", (path,)),
        ):
            assert not unchanged_since(dependency, Since(since.time_ns)), folder


def test_a_folder_in_which_files_come_and_go() -> None:
    Path("a/b").mkdir(parents=True)
    Path("a/b/f").touch()
    dependency = observe("file", ("a/b/f",))
    since = settle()
    Path("a/b/new").touch()
    assert unchanged_since(dependency, Since(since.time_ns))
    assert not unchanged_since(observe("names", ("a/b",)), Since(since.time_ns))
    Path("a/new").touch()
    assert not unchanged_since(dependency, Since(since.time_ns))  # it may have been moved before
    status = os.stat("a/b")
    busy = frozenset([(status.st_dev, status.st_ino)])
    assert unchanged_since(dependency, Since(since.time_ns, (), busy))
    Path("a/b").rename("a/c")
    Path("a/c").rename("a/b")
    assert not unchanged_since(dependency, Since(since.time_ns, (), busy))


def test_where_something_was_mounted(tmp_path: Path) -> None:
    Path("a").mkdir()
    Path("a/f").touch()
    Path("link").symlink_to("a")
    since = settle().time_ns
    for path in ("a/f", "link/f"):
        dependency = observe("file", (path,))
        assert not unchanged_since(dependency, Since(since, (f"{tmp_path}/a",)))
        assert unchanged_since(dependency, Since(since, (f"{tmp_path}/ab", f"{tmp_path}/a/f/g")))


@pytest.mark.parametrize(("kind", "subjects"), [("nosuch", ("a",)), ("file", ("a", "b")), ("file", ())])
def test_other_kinds_are_refused(kind: str, subjects: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="no such dependency"):
        measure(kind, subjects)


TEXT = st.text(st.characters(exclude_characters="\0"))


@given(st.lists(st.builds(Dependency, TEXT, TEXT, st.lists(TEXT, min_size=1).map(tuple))))
def test_dependencies_as_fields_and_back(dependencies: list[Dependency]) -> None:
    assert decode(encode(dependencies)) == dependencies


@given(st.lists(st.one_of(TEXT, st.integers(-2, 4).map(str))))
def test_other_fields_are_an_error_and_nothing_else(fields: list[str]) -> None:
    with suppress(ValueError):
        decode(fields)


def test_a_command_that_is_asked_ends_with_who_asks() -> None:
    def end(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, end)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(TimeoutError):
            say(("sh", "-c", "echo $$ > pid; exec sleep 600"))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path("pid").read_text()), 0)


def test_a_dependency_is_a_tuple_with_names() -> None:
    one = observe("file", ("missing",))
    assert one == ("file", "", ("missing",)) == (one.kind, one.value, one.subjects)
    assert hash(one) == hash(("file", "", ("missing",))) and repr(one) == repr(tuple(one))
