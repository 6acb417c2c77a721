"""Programs found on PATH and run."""

from pathlib import Path

import pytest

from nativecache.linker.errors import LinkError
from nativecache.linker.tools import Killed, ask, find_program, run

ENVIRON = {"PATH": "/usr/bin:/bin"}


def program(folder: Path, script: str) -> str:
    file = folder / "tool"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


def test_status_and_both_outputs(tmp_path: Path) -> None:
    tool = program(tmp_path, 'echo "$1"; echo error >&2; exit 3')
    assert run((tool, "out"), ENVIRON) == (3, "out\nerror\n")


def test_a_program_that_cannot_be_run_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match=r"cannot run .*nothing: No such file"):
        run((str(tmp_path / "nothing"),), ENVIRON)


def test_one_that_is_killed_is_asked_once_more(tmp_path: Path) -> None:
    tool = program(tmp_path, f"[ -e {tmp_path}/seen ] && echo yes && exit; touch {tmp_path}/seen; kill -9 $$")
    assert ask((tool,), ENVIRON) == "yes\n"
    with pytest.raises(Killed, match="killed by signal 9"):
        ask((program(tmp_path, "kill -9 $$"),), ENVIRON)


def test_programs_are_looked_for_on_the_path_that_is_given(tmp_path: Path) -> None:
    tool = program(tmp_path, "")
    assert find_program("tool", {"PATH": str(tmp_path)}) == tool
    assert find_program("tool", {"PATH": ""}) is None
    assert find_program(tool, {"PATH": ""}) == tool
