"""Debuggers on our image and on clang's: one scripted session on both, and where the replies differ.

Sessions are data, in tests/golden/debuggers: NAME.gdb and NAME.lldb hold a command a line. Beside them
NAME.gdb.differences lists what the replies may differ in, each with the reason:

    # why
    >>> command
    -a line that only clang's image gives
    +a line that only ours gives
"""

import difflib
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from harness import TESTS, Program

SESSIONS = TESTS / "golden" / "debuggers"

#: A command, our lines, and clang's.
Difference = tuple[str, str, str]
Debugger = Callable[[Path, Sequence[str], Path], str]

#: What depends on where things are, and how symbols (not debug information) are called: those of literals are
#: seen by the linker.
_VARYING = (
    (re.compile(r"0x[0-9a-f]{4,}"), "ADDRESS"),
    (re.compile(r"0xADDRESS at "), "ADDRESS at "),
    (re.compile(r"^\$\d+ = |(?<=returned is )\$\d+", re.MULTILINE), "$ = "),
    (re.compile(r"\b([Pp]rocess|LWP) \d+"), r"\1 N"),
    (re.compile(r" <\.Lnc\.c\.\d+>"), ""),
)


def gdb(image: Path, commands: Sequence[str], folder: Path) -> str:
    settings = (
        "set debuginfod enabled off",
        "set width 0",
        "set confirm off",
        "set print frame-arguments all",
    )
    arguments = [part for setting in settings for part in ("-iex", setting)]
    for command in commands:
        arguments += ["-ex", f"echo >>> {command}\\n", "-ex", command]
    return transcript(["gdb", "-nx", "-q", "-batch", *arguments, str(image)], folder)


def lldb(image: Path, commands: Sequence[str], folder: Path) -> str:
    script = image.with_suffix(".lldb")
    script.write_text("\n".join(commands) + "\n")
    source = f"command source -e false {script}"  # -o alone would stop at the first error
    options = ("--no-lldbinit", "--batch", "--no-use-colors", "-o", source)
    text = transcript(["lldb-22", *options, str(image)], folder)
    return re.sub(r"^\(lldb\) ", ">>> ", text, flags=re.MULTILINE)


def transcript(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return done.stdout


def replies(debugger: Debugger, image: Path, session: Sequence[str], folder: Path) -> list[list[str]]:
    """Each command with the lines of its reply."""
    text = debugger(image, session, folder).replace(str(image), "IMAGE").replace(str(folder), "FOLDER")
    for pattern, plain in _VARYING:
        text = pattern.sub(plain, text)
    return [part.splitlines() for part in re.split(r"^>>> ", text, flags=re.MULTILINE)[1:]]


def differences(
    debugger: Debugger, ours: Path, clangs: Path, session: Sequence[str], folder: Path
) -> list[Difference]:
    found = []
    pair = [replies(debugger, image, session, folder) for image in (ours, clangs)]
    for mine, theirs in zip(*pair, strict=True):
        matcher = difflib.SequenceMatcher(None, mine, theirs, autojunk=False)
        for kind, a, b, c, d in matcher.get_opcodes():
            if kind != "equal":
                found.append((mine[0], "\n".join(mine[a:b]), "\n".join(theirs[c:d])))
    return found


def both(program: Program, *options: str) -> tuple[Path, Path]:
    """Our image and clang's, under one name in folders of equally long names.

    What was built with the same options stands, if no source has changed meanwhile.
    """
    made = f"{options} {[file.read_bytes() for file in sorted(program.path().iterdir()) if file.is_file()]}"
    note = program.space / "made"
    if note.exists() and note.read_text() == made:
        return program.space / "ours/image", program.space / "them/image"
    note.unlink(missing_ok=True)
    for folder in ("ours", "them"):
        (program.space / folder).mkdir(exist_ok=True)
    program.build("ours/image", *options)
    clang = "clang++-22" if program.sources[0].endswith(".cpp") else "clang-22"
    command = [clang, *program.sources, *program.flags, *options, "-o", str(program.space / "them/image")]
    subprocess.run(command, cwd=program.path(), check=True)
    note.write_text(made)
    return program.space / "ours/image", program.space / "them/image"


def read_session(name: str) -> list[str]:
    """The commands of a session, given by the name of its file."""
    return (SESSIONS / name).read_text().splitlines()


def listed_differences(name: str) -> list[Difference]:
    """What the replies in a session are expected to differ in."""
    file = SESSIONS / f"{name}.differences"
    text = file.read_text() if file.exists() else ""
    found = []
    for block in re.split(r"^>>> ", text, flags=re.MULTILINE)[1:]:
        command, *lines = block.splitlines()
        ours, clangs = ("\n".join(line[1:] for line in lines if line[:1] == sign) for sign in "+-")
        found.append((command, ours, clangs))
    return found


def check_session(name: str, ours: Path, clangs: Path, folder: Path) -> None:
    """Both images give the same replies, but for the listed differences; and all of those are there."""
    debugger = {".gdb": gdb, ".lldb": lldb}[Path(name).suffix]
    assert differences(debugger, ours, clangs, read_session(name), folder) == listed_differences(name)
