"""What the tests of the splitting rules share: small programs, built both ways at -O0 and -O2 and compared."""

import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness import CLANG, BuildResult, assert_same_behaviour, build, clang_build, run

LEVELS = ("-O0", "-O2")


@dataclass(frozen=True)
class Built:
    """One level's builds: nativecache's image and figures (cold), and what the image printed."""

    image: Path
    result: BuildResult
    stdout: str


def write(space: Path, files: Mapping[str, str]) -> list[str]:
    """Write the sources; their names, headers left out."""
    for name, text in files.items():
        (space / name).write_text(text, encoding="utf-8")
    return [name for name in files if not name.endswith(".h")]


def compare(
    space: Path,
    files: Mapping[str, str],
    says: str | None = None,
    *,
    code: int = 0,
    natives: Sequence[str] = (),
    order: Sequence[str] = (),
    cflags: Sequence[str] = (),
    link: Sequence[str] = (),
    options: Sequence[str] = (),
    levels: Sequence[str] = LEVELS,
) -> dict[str, Built]:
    """Build with nativecache and with clang; both images behave alike.

    `says`: what the program must print. `order`: the inputs, where natives do not come last. At the last
    level a warm build follows: it compiles nothing and gives the same bytes.
    """
    inputs = [*write(space, files), *natives]
    if order:
        assert sorted(order) == sorted(inputs)
        inputs = list(order)

    def at(level: str) -> Built:
        folder = space / level
        folder.mkdir()
        ours = [*inputs, level, *(f"--cflag={flag}" for flag in cflags), *options]
        after = ["--", *link] if link else []
        image = folder / "image"
        cold = build(folder, *ours, "-o", image, *after, cwd=space)
        theirs = clang_build([space / name for name in inputs], [level, *cflags, *link], folder / "clang")
        done = assert_same_behaviour(image, theirs, code=code)
        if says is not None:
            assert done.stdout.decode() == says, done
        if level == levels[-1]:
            warm = build(folder, *ours, "-j1", "-o", folder / "warm", *after, cwd=space)
            assert warm.misses == 0, warm.compiled
            assert (folder / "warm").read_bytes() == image.read_bytes()
        return Built(image, cold, done.stdout.decode())

    with ThreadPoolExecutor(len(levels)) as pool:
        return dict(zip(levels, pool.map(at, levels), strict=True))


def clang_object(space: Path, name: str, text: str, *flags: str) -> str:
    """Compile a source to an object with clang alone; its file name in `space`."""
    (space / name).write_text(text)
    out = Path(name).stem + ".o"
    subprocess.run([CLANG, "-O2", *flags, "-w", "-c", name, "-o", out], cwd=space, check=True, timeout=60)
    return out


def clang_archive(space: Path, name: str, text: str) -> str:
    """An archive of one object made by clang; its file name in `space`."""
    member = clang_object(space, name, text)
    out = f"lib{Path(name).stem}.a"
    subprocess.run(["ar", "rcs", out, member], cwd=space, check=True, timeout=60)
    return out


def link_with_clang(space: Path, *words: str, out: str = "linked") -> str:
    """Link with clang in `space` and run; what the image printed."""
    driver = "clang++-22" if "-lstdc++" in words or any(word.endswith(".cpp") for word in words) else CLANG
    subprocess.run([driver, "-w", *words, "-o", out], cwd=space, check=True, timeout=60)
    done = run(space / out)
    assert done.code == 0, done
    return done.stdout.decode()
