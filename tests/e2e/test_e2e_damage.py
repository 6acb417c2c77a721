"""Whatever happens to any file of the cache folder, a build ends well and its image is right.

Each example damages one file of a warm cache and builds three times: as it is, where a record may answer;
without the image, so that all is looked up; and once more, when what was damaged has been made again.
"""

import shutil
from pathlib import Path

import pytest
from harness import build, needs_clang
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rules import write
from spaces import SOURCES, Space
from stores import KINDS, SQLITE

from nativecache.aot.output.pieces import linked_recipe
from nativecache.cache.audit import check_entries
from nativecache.cache.folder import find_entries
from nativecache.cache.format import FOOTER_SIZE, unseal
from nativecache.cache.statistics import read_statistics

pytestmark = needs_clang


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def warm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Space:
    """A program that was built, and a copy of its cache; each example gets the copy again."""
    space = Space(tmp_path_factory.mktemp("damage"), request.param)
    write(space.folder, SOURCES)
    space.build()
    shutil.copy(space.folder / "app", space.folder / "expected")
    (space.folder / "app").unlink()
    space.build()
    assert space.image == (space.folder / "expected").read_bytes()
    (space.folder / "cache").rename(space.folder / "whole")
    return space


DAMAGE = ("flip", "cut", "extend", "empty", "swap", "rename", "zeros", "loop", "folder", "closed", "gone")


def damage(files: list[Path], file: Path, data: st.DataObject) -> str:
    kind = data.draw(st.sampled_from(DAMAGE))
    text = bytearray(file.read_bytes())
    # Payload, metadata or footer: any byte of the last is as likely as any of the others together.
    end = st.integers(max(0, len(text) - FOOTER_SIZE), max(0, len(text) - 1))
    at = data.draw(st.integers(0, max(0, len(text) - 1)) | end)
    other = data.draw(st.sampled_from(files))
    if kind == "flip" and text:
        text[at] ^= 1 << data.draw(st.integers(0, 7))
        file.write_bytes(text)
    elif kind == "cut":
        file.write_bytes(text[:at])
    elif kind == "extend":
        file.write_bytes(text + data.draw(st.binary(min_size=1, max_size=100)))
    elif kind == "empty":
        file.write_bytes(b"")
    elif kind == "swap":
        file.write_bytes(other.read_bytes())
        other.write_bytes(text)
    elif kind == "rename":
        file.replace(other)
    elif kind == "zeros":
        file.write_bytes(bytes(len(text)))
    elif kind == "closed":
        file.chmod(0)
    else:
        file.unlink()
        if kind == "loop":
            file.symlink_to(file.name)
        elif kind == "folder":
            file.mkdir()
    return kind


@pytest.mark.family(2)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_damage_is_harmless(warm: Space, data: st.DataObject) -> None:
    shutil.rmtree(warm.folder / "cache", ignore_errors=True)
    shutil.copytree(warm.folder / "whole", warm.folder / "cache")
    files = warm.files()
    kind = damage(files, data.draw(st.sampled_from(files)), data)
    expected = (warm.folder / "expected").read_bytes()
    for image_is_there in (True, False, True):
        if not image_is_there:
            (warm.folder / "app").unlink()
        errors = warm.build()
        assert warm.image == expected
        assert not errors or kind in ("loop", "folder") or warm.kind is SQLITE, errors
        assert len(errors.splitlines()) <= 1, errors
    # All that builds ask for is whole again; what none of them asked for, as objects that stand in pieces,
    # and a file that got another's name, is found by who looks.
    bad = [found for found in check_entries(warm.folder / "cache", keep=False) if found]
    assert len(bad) <= (2 if kind == "swap" else 1), bad
    assert not any(check_entries(warm.folder / "cache", keep=False))


def test_damaged_objects_are_counted_and_replaced(warm: Space) -> None:
    shutil.rmtree(warm.folder / "cache", ignore_errors=True)
    shutil.copytree(warm.folder / "whole", warm.folder / "cache")
    values = [(found.key, found.read()) for found in find_entries(warm.folder / "cache")]
    objects = [(key, value) for key, value in values if unseal(key, value)[0][:4] == b"\x7fELF"]
    for key, value in objects:
        warm.kind.overwrite(warm.folder / "cache", key, value[:-1] + b"?")
    # Objects are asked for where the pieces that they stand in are lost.
    forms = b'"form":"pieces ', b'"form":"linked '
    pieces = [(key, value) for key, value in values if any(form in value for form in forms)]
    for key, value in pieces:
        warm.kind.overwrite(warm.folder / "cache", key, value[:-1] + b"?")
    (warm.folder / "app").unlink()
    warm.build()
    assert warm.image == (warm.folder / "expected").read_bytes()
    total = read_statistics(warm.folder / "cache").total
    assert total["missed_corrupt"] == len(objects) > 1
    assert total["corrupt"] == len(objects) + len(pieces) > len(objects)
    # What is kept for edits is written by the next one.
    bad = [found.key for found in check_entries(warm.folder / "cache", keep=False) if found]
    assert bad == [linked_recipe(warm.folder / "app", 1).key()]


def test_an_object_of_a_whole_file_that_is_gone_is_made_again(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.s").write_text(f".globl {name}\n{name}:\n  ret\n")
    main = tmp_path / "main.c"
    main.write_text("int main(void) { return 3; }\n")
    words = "main.c", "one.s", "two.s", "-o", "app"
    build(tmp_path, *words)
    expected = (tmp_path / "app").read_bytes()
    for found in find_entries(tmp_path / "cache"):
        if b'"form":"answer ' in found.read():
            Path(found.path).unlink()
    (tmp_path / "app").unlink()
    done = build(tmp_path, *words)
    assert (tmp_path / "app").read_bytes() == expected
    assert done.stats["whole_hits"] == 0
