"""Fetches the sources of real programs for the tests, by name and version, from the package registries.

Nothing is committed and no host is named here: npm, pip and apt know where their registries are. The sources
land in NATIVECACHE_TEST_DOWNLOADS (default ~/.cache/nativecache-tests), one folder per package, moved
into place once complete, so that test processes may fetch at the same time. Without registry or client
the test is skipped. `python tests/tools/fetch.py` fetches everything but Debian's sources.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

SQLITE = "better-sqlite3@12.11.1"
LUA = "lupa==2.8"
ZSTD = "zstandard==0.25.0"

# `pip download` of a source distribution asks its build backend for metadata, and that would need each
# package's build tools. This backend, found first on PYTHONPATH, answers from PKG-INFO instead.
SDIST_BACKEND = """\
import email, pathlib, shutil, sys
__legacy__ = sys.modules[__name__]
def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    about = email.message_from_string(pathlib.Path("PKG-INFO").read_text("utf-8"))
    info = pathlib.Path(metadata_directory) / f"{about['Name']}-{about['Version']}.dist-info"
    info.mkdir()
    shutil.copy("PKG-INFO", info / "METADATA")
    return info.name
"""


def sqlite_sources() -> Path:
    """Folder with sqlite3.c and sqlite3.h, the amalgamation."""
    return fetch(SQLITE, npm_pack, "deps/sqlite3", ("sqlite3.c", "sqlite3.h"))


def lua_sources() -> Path:
    """Folder with the Lua 5.4 sources; `lua_program` lists the files that make up the interpreter."""
    return fetch(LUA, pip_download, "third-party/lua54", ("lua.c", "lvm.c", "lua.h", "lauxlib.h"))


def zstd_sources() -> Path:
    """Folder with zstd.c, a single-file library, and zstd.h."""
    return fetch(ZSTD, pip_download, "zstd", ("zstd.c", "zstd.h", "zdict.h"))


def lua_program(sources: Path) -> list[Path]:
    """The files of the `lua` interpreter: all but the compiler, the all-in-one file and the test hooks."""
    return sorted(set(sources.glob("*.c")) - {sources / name for name in ("luac.c", "onelua.c", "ltests.c")})


def fetch(package: str, download: Callable[[str, Path], None], inner: str, wanted: tuple[str, ...]) -> Path:
    """The folder `inner` of the package's archive, checked to hold the `wanted` files."""
    downloads = download_folder()
    place = downloads / package.replace("==", "-").replace("@", "-")
    if not has_files(place, wanted):
        downloads.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=downloads, prefix=".tmp-") as temporary:
            archive_folder = Path(temporary) / "archive"
            archive_folder.mkdir()
            download(package, archive_folder)
            fresh = Path(temporary) / "fresh"
            unpack(next(archive_folder.iterdir()), inner, fresh)
            if not has_files(fresh, wanted):
                raise FileNotFoundError(f"{package}: {inner} lacks one of {', '.join(wanted)}")
            move_into_place(fresh, place, wanted)
    return place


def debian_source(package: str, wanted: tuple[str, ...]) -> Path:
    """The unpacked and patched source tree of a Debian package, whatever its version is on this system."""
    downloads = download_folder()
    place = downloads / f"debian-{package}"
    if not has_files(place, wanted):
        downloads.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=downloads, prefix=".tmp-") as temporary:
            tree = apt_source(package, Path(temporary))
            if not has_files(tree, wanted):
                raise FileNotFoundError(f"{package}: its source lacks one of {', '.join(wanted)}")
            move_into_place(tree, place, wanted)
    return place


def apt_source(package: str, folder: Path) -> Path:
    """Unpack a package's source below `folder`, where all that apt reads and writes lies, too."""
    apt = shutil.which("apt-get")
    if apt is None or shutil.which("dpkg-source") is None:
        pytest.skip(f"apt-get and dpkg-source (dpkg-dev) not found, they are needed to fetch {package}")
    lists, unpacked = folder / "sources.list.d", folder / "unpacked"
    for made in (lists, unpacked, folder / "lists" / "partial", folder / "cache"):
        made.mkdir(parents=True)
    system = Path("/etc/apt")
    for file in (system / "sources.list", *sorted((system / "sources.list.d").glob("*"))):
        if file.suffix in (".list", ".sources") and file.is_file():
            (lists / file.name).write_text(source_entries(file.read_text(), file.suffix))
    options = {
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": lists,
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        # apt's own user, which it becomes where it is run by root, may not enter a home folder.
        "APT::Sandbox::User": "root",
    }
    command = [apt, "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    # An update fails for one list of many, too: what counts is whether the source can be had.
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run([*command, "update"], capture_output=True, timeout=300)
    if not any((folder / "lists").glob("*Sources*")):
        pytest.skip(f"could not fetch {package}: apt-get update has brought no list of sources")
    run_client([*command, "--only-source", "source", package], package, unpacked, dict(os.environ))
    return next(path for path in unpacked.iterdir() if path.is_dir())


def source_entries(text: str, form: str) -> str:
    """What a file of apt's says of packages, said of their sources: a `.list`, or deb822's `.sources`."""
    if form == ".list":
        lines = [line for line in text.splitlines() if re.match(r"\s*deb\s", line)]
        return "".join(re.sub(r"^\s*deb\b", "deb-src", line) + "\n" for line in lines)
    stanzas = [
        stanza for stanza in re.split(r"\n\s*\n", text) if re.search(r"(?mi)^types:.*\bdeb(?!-)\b", stanza)
    ]
    return (
        "\n\n".join(re.sub(r"(?mi)^types:.*", "Types: deb-src", stanza).strip("\n") for stanza in stanzas)
        + "\n"
    )


def download_folder() -> Path:
    chosen = os.environ.get("NATIVECACHE_TEST_DOWNLOADS")
    return Path(chosen).absolute() if chosen else Path.home() / ".cache" / "nativecache-tests"


def has_files(folder: Path, names: tuple[str, ...]) -> bool:
    return all((folder / name).is_file() and (folder / name).stat().st_size for name in names)


def npm_pack(package: str, folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"npm not found, it is needed to fetch {package}")
    command = [npm, "pack", "--loglevel=error", "--ignore-scripts", package]
    run_client(command, package, folder, dict(os.environ))


def pip_download(package: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as stub:
        backend = Path(stub) / "setuptools" / "build_meta.py"
        backend.parent.mkdir()
        (backend.parent / "__init__.py").touch()
        backend.write_text(SDIST_BACKEND)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        command += ["--no-build-isolation", "--dest", str(folder), package]
        run_client(command, package, folder, {**os.environ, "PYTHONPATH": stub})


def run_client(command: list[str], package: str, folder: Path, env: dict[str, str]) -> None:
    """Run a registry client in `folder`; a failure skips the test with the client's last words."""
    try:
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        pytest.skip(f"could not fetch {package}: no answer within 300 s")
    if done.returncode or not any(folder.iterdir()):
        words = [line for line in done.stderr.splitlines() if line.strip() and "complete log" not in line]
        pytest.skip(f"could not fetch {package}: {words[-1] if words else 'no message'}")


def unpack(archive: Path, inner: str, target: Path) -> None:
    """Extract the files directly inside the archive's folder `*/inner` into `target`."""
    target.mkdir()
    with tarfile.open(archive) as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            source = tar.extractfile(member) if path.match(f"*/{inner}/*") else None
            if source is not None:
                (target / path.name).write_bytes(source.read())


def move_into_place(fresh: Path, place: Path, wanted: tuple[str, ...]) -> None:
    """Rename `fresh` to `place`; whoever comes second keeps what the first one put there."""
    if place.exists() and not has_files(place, wanted):
        shutil.rmtree(place, ignore_errors=True)
    try:
        fresh.rename(place)
    except OSError:
        if not has_files(place, wanted):
            raise


if __name__ == "__main__":
    for sources in (sqlite_sources, lua_sources, zstd_sources):
        print(sources())
