"""Where the cache folder is: what is named, what the platform says, and something when there is neither."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from nativecache.cache.location import default_cache_dir


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
