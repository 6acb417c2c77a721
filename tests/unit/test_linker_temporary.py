"""Temporary folders are this user's alone, where something can be written, and go with what is in them."""

import os
import stat
from pathlib import Path

import pytest

from nativecache.linker import temporary
from nativecache.linker.temporary import make_temporary_folder, remove_folder


def test_a_folder_is_new_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    made = [Path(make_temporary_folder()) for _ in range(2)]
    assert sorted(tmp_path.iterdir()) == sorted(made)
    assert all(stat.S_IMODE(one.stat().st_mode) == 0o700 and not list(one.iterdir()) for one in made)


def test_a_folder_that_takes_no_file_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "full").mkdir()
    monkeypatch.setattr(temporary, "_holds_files", lambda folder: "full" not in folder)
    for name, folder in (("TMPDIR", "nowhere"), ("TEMP", "full"), ("TMP", "")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    assert os.path.dirname(make_temporary_folder()) == str(tmp_path)
    monkeypatch.setattr(temporary, "_holds_files", lambda folder: False)
    with pytest.raises(OSError, match="takes a file"):
        make_temporary_folder()
    assert not list((tmp_path / "full").iterdir())


def test_a_folder_goes_with_all_in_it_but_what_links_lead_to(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x")
    (tmp_path / "a" / "b" / "file").write_text("x")
    (tmp_path / "a" / "link").symlink_to(tmp_path / "kept")
    remove_folder(str(tmp_path / "a"))
    remove_folder(str(tmp_path / "nowhere"))
    assert [path.name for path in tmp_path.iterdir()] == ["kept"] and (tmp_path / "kept" / "file").exists()
