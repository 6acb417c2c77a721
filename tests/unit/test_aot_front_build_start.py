"""A build begins when it is asked whether there is anything to do, and folders are busy that stood since."""

import os
import time
from pathlib import Path

from nativecache.aot.front.build_start import Start
from nativecache.cache.dependencies import observe
from nativecache.cache.since import Seen, unchanged_since


def test_what_is_changed_after_it_was_seen_is_not_believed(tmp_path: Path) -> None:
    source = tmp_path / "a.c"
    source.write_text("int a;\n")
    time.sleep(0.03)
    seen = Seen()
    dependency = observe("file", (str(source),), seen.memo)
    assert unchanged_since(dependency, Start([str(tmp_path)], seen.moment).since())
    source.write_text("int b;\n")
    assert not unchanged_since(dependency, Start([str(tmp_path)], seen.moment).since())
    time.sleep(0.03)
    assert unchanged_since(dependency, Start([str(tmp_path)]).since())  # why the moment is handed on


def test_names_may_come_and_go_in_a_busy_folder(tmp_path: Path) -> None:
    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "a.c").write_text("int a;\n")
    time.sleep(0.03)
    seen = Seen()
    start = Start([str(folder)], seen.moment)
    (folder / "a.o").touch()
    (tmp_path / "other").touch()
    assert start.since().stands(str(folder / "a.c"))


def test_a_folder_that_was_another_is_not_busy(tmp_path: Path) -> None:
    folder, other = tmp_path / "src", tmp_path / "other"
    for path in (folder, other):
        path.mkdir()
        (path / "a.c").write_text(path.name)
    time.sleep(0.03)
    seen = Seen()
    os.rename(folder, tmp_path / "away")
    os.rename(other, folder)
    start = Start([str(folder)], seen.moment)
    (folder / "a.o").touch()
    assert not start.since().stands(str(folder / "a.c"))
