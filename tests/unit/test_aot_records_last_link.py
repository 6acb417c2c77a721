"""With the same objects and all else that a link reads the same, the last image stands; else it is linked."""

import os
import time
from pathlib import Path

import pytest
from harness import BuildResult, build, edit, needs_clang, run
from rules import clang_object, write

from nativecache.cache.format import seal, unseal

pytestmark = needs_clang

FILES = {
    "main.c": "#include <stdio.h>\nint other(void);\nint local(void) { return 2; }\n"
    'int main(void) { printf("%d\\n", other() + local()); }\n',
    "other.c": "int other(void) { return 40; }\n",
}


class Space:
    """A program with an object of its own, built time and again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write(folder, {"main.c": FILES["main.c"]})
        clang_object(folder, "other.c", FILES["other.c"])
        self.words = ["main.c", "other.o", "-o", "app"]
        self.comments = 0
        assert self.linked()

    def build(self, *words: str, env: dict[str, str] | None = None) -> BuildResult:
        time.sleep(0.03)  # else what was just written counts as changed during the build
        return build(self.folder, *self.words, *words, env=env)

    def linked(self, *words: str, env: dict[str, str] | None = None) -> bool:
        """Whether a build after a change of no code links."""
        self.comments += 1
        with (self.folder / "main.c").open("a") as file:
            file.write(f"// {self.comments}\n")
        done = self.build(*words, env=env)
        assert ("nothing to link" in done.stdout) == ("link" not in done.stats["phases"])
        return "link" in done.stats["phases"]


@pytest.fixture
def space(tmp_path: Path) -> Space:
    return Space(tmp_path)


@pytest.mark.slow
def test_a_comment_links_nothing(space: Space) -> None:
    image = space.folder / "app"
    before = image.stat()
    assert not space.linked() and not space.linked()
    assert image.stat().st_ino == before.st_ino
    assert run(image).stdout == b"42\n"


@pytest.mark.slow
def test_other_code_is_linked(space: Space) -> None:
    edit(space.folder / "main.c", "return 2", "return 3")
    assert space.linked() and run(space.folder / "app").stdout == b"43\n"
    edit(space.folder / "main.c", "return 3", "return 2")
    assert space.linked() and run(space.folder / "app").stdout == b"42\n"


def test_another_name_of_the_same_code_is_linked(space: Space) -> None:
    text = (space.folder / "main.c").read_text()
    (space.folder / "main.c").write_text(text.replace("local", "called"))
    assert space.linked("-rdynamic")
    assert b"called" in (space.folder / "app").read_bytes()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("__attribute__((common)) int shared;\n", "extern int shared;\n"),
        (
            "static int f(void) { return 1; }\nstatic int (*choose(void))(void) { return f; }\n"
            'int chosen(void) __attribute__((ifunc("choose")));\n',
            "",
        ),
    ],
)
def test_what_another_linker_is_chosen_by_is_linked(space: Space, before: str, after: str) -> None:
    """Though no object has it: another definition replaces the common symbol, nobody calls the ifunc."""
    with (space.folder / "main.c").open("a") as file:
        file.write("int shared = 3;\n")
    space.words.append("third.c")
    (space.folder / "third.c").write_text(before)
    assert space.linked()
    (space.folder / "third.c").write_text(after)
    assert space.linked() and not space.linked()


def test_another_native_input_is_linked(space: Space) -> None:
    clang_object(space.folder, "other.c", FILES["other.c"].replace("40", "50"))
    assert space.linked() and run(space.folder / "app").stdout == b"52\n"


@pytest.mark.slow
def test_an_image_that_is_gone_or_another_is_linked(space: Space) -> None:
    image = space.folder / "app"
    image.unlink()
    assert space.linked() and run(image).stdout == b"42\n"
    image.write_bytes(image.read_bytes() + b"x")
    assert space.linked() and image.read_bytes()[-1:] != b"x"
    image.chmod(0o600)
    assert space.linked() and os.access(image, os.X_OK)


@pytest.mark.slow
def test_other_options_or_surroundings_are_linked(space: Space) -> None:
    assert space.linked("--", "-s")
    assert not space.linked("--", "-s")
    assert space.linked("--", "-s", env={"LIBRARY_PATH": "/nowhere"})


@pytest.mark.slow
def test_a_library_that_appears_earlier_is_linked(space: Space) -> None:
    folder = space.folder / "lib"
    folder.mkdir()
    words = ("--", f"-L{folder}", "-lm")
    assert space.linked(*words) and not space.linked(*words)
    (folder / "libm.so").write_text("INPUT(-lc)\n")
    assert space.linked(*words)


@pytest.mark.slow
def test_a_damaged_record_costs_a_link(space: Space) -> None:
    for path in (space.folder / "cache" / "v1").rglob("*.o"):
        payload, meta = unseal(key := path.parent.name + path.stem, path.read_bytes())
        path.write_bytes(seal(key, payload.replace(b'"made from"', b'"made frog"'), meta))
    assert space.linked() and not space.linked()
