"""Where the cache folder is: what is named, what the platform says, and something when there is neither."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from nativecache.cache.location import default_cache_dir, distrust


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def user_folder(temporary: Path) -> Path:
    return temporary / f"nativecache-{os.getuid()}"


def test_named_folder_comes_first(home: Path) -> None:
    environ = {"NATIVECACHE_DIR": "/named", "XDG_CACHE_HOME": "/xdg", "HOME": str(home)}
    assert default_cache_dir(environ) == Path("/named")


def test_xdg_cache_home_comes_second(home: Path) -> None:
    assert default_cache_dir({"XDG_CACHE_HOME": "/xdg", "HOME": str(home)}) == Path("/xdg/nativecache")


@pytest.mark.parametrize(
    ("platform", "variable", "caches"),
    [("linux", "HOME", ".cache"), ("darwin", "HOME", "Library/Caches"), ("win32", "LOCALAPPDATA", "")],
)
def test_folder_of_the_platform(home: Path, platform: str, variable: str, caches: str) -> None:
    assert default_cache_dir({variable: str(home)}, platform=platform) == home / caches / "nativecache"


@pytest.mark.parametrize("xdg", ["", "relative"])
def test_empty_and_relative_variables_count_as_unset(home: Path, xdg: str) -> None:
    environ = {"NATIVECACHE_DIR": "", "XDG_CACHE_HOME": xdg, "HOME": str(home)}
    assert default_cache_dir(environ, platform="linux") == home / ".cache" / "nativecache"


def test_nothing_is_made_in_the_home_folder(home: Path) -> None:
    default_cache_dir({"HOME": str(home)})
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "relative"}, {"HOME": "/does/not/exist"}])
def test_without_a_home_a_private_temporary_folder(temporary: Path, environ: dict[str, str]) -> None:
    assert default_cache_dir(environ) == user_folder(temporary) / "nativecache"
    assert stat.S_IMODE(user_folder(temporary).stat().st_mode) == 0o700


def test_home_that_cannot_be_written_to(home: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert default_cache_dir({"HOME": str(home)}) == user_folder(temporary) / "nativecache"


def test_temporary_folder_stays_the_same(temporary: Path) -> None:
    assert default_cache_dir({}) == default_cache_dir({})


def test_temporary_folder_open_to_others_is_not_used(temporary: Path) -> None:
    user_folder(temporary).mkdir()
    user_folder(temporary).chmod(0o777)
    assert_fresh_and_private(default_cache_dir({}), temporary)


def test_temporary_folder_of_another_user_is_not_used(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: uid)
    assert_fresh_and_private(default_cache_dir({}), temporary)


def test_link_in_place_of_the_temporary_folder_is_not_used(temporary: Path, home: Path) -> None:
    home.chmod(0o700)
    user_folder(temporary).symlink_to(home)
    assert_fresh_and_private(default_cache_dir({}), temporary)


def test_file_in_place_of_the_temporary_folder(temporary: Path) -> None:
    user_folder(temporary).touch()
    assert_fresh_and_private(default_cache_dir({}), temporary)


def assert_fresh_and_private(cache: Path, temporary: Path) -> None:
    assert cache.parent != user_folder(temporary)
    assert cache.parent.parent == temporary
    assert stat.S_IMODE(cache.parent.stat().st_mode) == 0o700


# Trust


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cache" / "v1").mkdir(parents=True)
    return tmp_path / "cache"


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o775, 0o500, 0o1777])
@pytest.mark.parametrize("name", ["", "v1"])
def test_a_folder_to_trust(folder: Path, name: str, mode: int) -> None:
    (folder / name).chmod(mode)
    assert distrust(str(folder)) == ""
    (folder / name).chmod(0o700)


@pytest.mark.parametrize("name", ["", "v1"])
def test_a_folder_that_every_user_may_write_to(folder: Path, name: str) -> None:
    (folder / name).chmod(0o777)
    assert distrust(str(folder)) == f"every user may write to {folder / name}"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
@pytest.mark.parametrize("name", ["", "v1"])
def test_a_folder_of_someone_elses(folder: Path, name: str) -> None:
    os.chown(folder / name, 12345, -1)
    assert distrust(str(folder)) == f"{folder / name} belongs to user 12345"


def test_a_folder_of_roots_is_trusted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = folder.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert (distrust(str(folder)) == "") == (owner == 0)


def test_a_folder_that_is_not_there_is_nobodys(tmp_path: Path) -> None:
    assert distrust(str(tmp_path / "nowhere")) == ""
