"""What a build made and packed is found by the next, whatever happens to the pack."""

import hashlib
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import BuildResult, build, clean_environment, needs_clang
from rules import write

from nativecache.cache.audit import check_entries
from nativecache.cache.file_store import FileStore
from nativecache.cache.folder import find_entries
from nativecache.cache.in_packs import InPack, open_packs
from nativecache.cache.layout import packs_folder
from nativecache.cache.packs import ENOUGH

pytestmark = needs_clang

COUNT = 80
SOURCE = "".join(
    f"__attribute__((noinline)) int f{n}(int a) {{ return a * {n + 3} ^ {n * n} / (a | 1); }}\n"
    for n in range(COUNT)
)
MAIN = (
    SOURCE
    + "int main(int n, char **v) { return ("
    + " + ".join(f"f{n}(n)" for n in range(COUNT))
    + ") & 7; }\n"
)
WORDS = ("main.c", "-O2", "-o", "app")


def image(folder: Path) -> bytes:
    return (folder / "app").read_bytes()


def again(folder: Path) -> BuildResult:
    """A build that looks all up: there is no image, and no plan."""
    (folder / "app").unlink(missing_ok=True)
    for found in list(find_entries(folder / "cache")):
        if not isinstance(found, InPack) and str(found.meta().get("form", "")).partition(" ")[0] in (
            "plan",
            "pieces",
        ):
            os.unlink(found.path)
    return build(folder, *WORDS)


def packed(cache: Path) -> set[str]:
    return {found.key for found in find_entries(cache) if isinstance(found, InPack)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packs")
    write(folder, {"main.c": MAIN})
    cold = build(folder, *WORDS)
    assert cold.hits == 0 and cold.misses >= COUNT
    (folder / "app").rename(folder / "expected")
    return folder


@pytest.fixture
def warm(whole: Path, tmp_path: Path) -> Path:
    """A folder whose cache has a pack; not that of the sources, so that all is looked up."""
    shutil.copytree(whole, tmp_path / "warm")
    return tmp_path / "warm"


def test_all_hits_out_of_a_pack(warm: Path) -> None:
    (pack,) = open_packs(warm / "cache")
    assert len(pack) >= COUNT
    done = again(warm)
    assert done.misses == 0 and done.hits >= COUNT
    assert image(warm) == (warm / "expected").read_bytes()
    assert not any(check_entries(warm / "cache", keep=False))


def test_an_edit_compiles_what_changed(warm: Path) -> None:
    write(warm, {"main.c": MAIN.replace("a * 7 ^", "a * 777 ^")})
    done = build(warm, *WORDS)
    assert done.compiled == ["f4"]
    build(warm, *WORDS[:-1], "cold", "--no-cache")
    assert image(warm) == (warm / "cold").read_bytes()


def test_a_few_objects_stay_files(tmp_path: Path) -> None:
    write(tmp_path, {"main.c": "int main(void) { return 0; }\n"})
    build(tmp_path, *WORDS)
    assert not packed(tmp_path / "cache")


def test_a_folder_of_files_is_as_good(whole: Path, tmp_path: Path) -> None:
    """As an older nativecache left it; pruning packs what is in it."""
    write(tmp_path, {"main.c": MAIN})
    build(tmp_path, *WORDS)
    for found in find_entries(tmp_path / "cache"):
        if isinstance(found, InPack):
            FileStore(tmp_path / "cache").put(found.key, found.read())
    shutil.rmtree(packs_folder(tmp_path / "cache"))
    assert again(tmp_path).misses == 0 and image(tmp_path) == (whole / "expected").read_bytes()
    command = [sys.executable, "-m", "nativecache.cli.start", "cache", "prune", "--cache-dir", "cache"]
    subprocess.run(command, cwd=tmp_path, check=True, env=clean_environment(), capture_output=True)
    assert len(packed(tmp_path / "cache")) >= COUNT
    assert again(tmp_path).misses == 0 and image(tmp_path) == (whole / "expected").read_bytes()


@pytest.mark.parametrize(
    "region", ["blocks", "table", "footer", "times", "cut", "grown", "other", "gone", "zeros"]
)
def test_damage_is_harmless(warm: Path, region: str) -> None:
    (pack,) = open_packs(warm / "cache")
    path = Path(pack.path)
    data = bytearray(path.read_bytes())
    choose, table = random.Random(region), len(data) - 52 - len(pack) * 48 - 1024
    places = {
        "blocks": range(table),
        "table": range(table, len(data) - 52),
        "footer": range(len(data) - 52, len(data)),
    }
    if region in places:
        data[choose.choice(places[region])] ^= 1 << choose.randrange(8)
        path.write_bytes(data)
    elif region == "times":
        path.with_suffix(".used").write_bytes(b"?")
    elif region == "gone":
        path.unlink()
    else:
        half, zeros = data[: len(data) // 2], bytearray(len(data))
        path.write_bytes({"cut": half, "grown": data + b"?", "other": bytearray(999), "zeros": zeros}[region])
    for _ in range(2):
        done = again(warm)
        assert image(warm) == (warm / "expected").read_bytes()
    assert done.misses == 0
    list(check_entries(warm / "cache", keep=False))
    assert not any(check_entries(warm / "cache", keep=False))
    again(warm)
    assert image(warm) == (warm / "expected").read_bytes()


def test_two_builds_at_once_over_one_cache(whole: Path, tmp_path: Path) -> None:
    started = []
    for name in ("one", "two", "three"):
        write(tmp_path / name, {"main.c": MAIN})
        words = [sys.executable, "-m", "nativecache.cli.start", "build", *WORDS, "--cache-dir", "../cache"]
        started.append(subprocess.Popen(words, cwd=tmp_path / name, env=clean_environment()))
    assert [process.wait(300) for process in started] == [0, 0, 0]
    for name in ("one", "two", "three"):
        assert image(tmp_path / name) == (whole / "expected").read_bytes()
    # Too few to be packed may be left by the last one.
    assert COUNT - ENOUGH < ENOUGH <= len(packed(tmp_path / "cache"))
    assert not any(check_entries(tmp_path / "cache", keep=False))


def test_a_pack_is_copied_with_the_folder(warm: Path) -> None:
    """By tools that follow links and know nothing of packs."""
    (warm / "cache").rename(warm / "old")
    shutil.copytree(warm / "old", warm / "cache", symlinks=False)
    assert again(warm).misses == 0


def test_objects_are_extracted(warm: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "nativecache.cli.start",
        "cache",
        "extract",
        "--cache-dir",
        "cache",
        "-o",
        "out",
    ]
    subprocess.run(words, cwd=warm, check=True, env=clean_environment(), capture_output=True)
    keys = packed(warm / "cache")
    assert {path.stem for path in (warm / "out").iterdir()} >= keys
    assert all((warm / "out" / f"{key}.o").read_bytes()[:4] == b"\x7fELF" for key in keys)
    one = min(keys)
    done = subprocess.run(
        [*words[:-1], "one", one[:20]], cwd=warm, check=True, env=clean_environment(), capture_output=True
    )
    assert done.stdout.decode().split() == [f"one/{one}.o"] and len(list((warm / "one").iterdir())) == 1
    none = hashlib.sha256().hexdigest()
    done = subprocess.run([*words, none], cwd=warm, env=clean_environment(), capture_output=True)
    assert done.returncode == 1 and none.encode() in done.stderr
