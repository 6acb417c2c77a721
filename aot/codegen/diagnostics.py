"""What LLVM says while it compiles a unit, and what of it is clang's warning or error.

clang hears its back end through a handler and speaks in its own words (clang/lib/CodeGen/CodeGenAction.cpp):
frames that are too large, calls that no optimisation removed of functions which must not be called,
transformations asked for and not made, inline asm. Those words stand here without places: units have none.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Literal

from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A diagnostic of LLVM's in its words, in which symbols may be placeholders."""

    severity: Severity
    text: str


class Refused(RuntimeError):
    """LLVM reported an error in the code itself, as it does of inline asm. The message is the first."""


def refuse(said: Sequence[Diagnostic]) -> None:
    """Raises Refused if there is an error among what was said."""
    for one in said:
        if one.severity == "error":
            raise Refused(one.text)


#: clang's warning groups (clang/include/clang/Basic/DiagnosticFrontendKinds.td), by LLVM's words.
_GROUPS: Final = (
    ("frame-larger-than", re.compile(r"stack frame size \(")),
    ("attribute-warning", re.compile(r'call to .* marked "dontcall-warn"')),
    ("pass-failed", re.compile(r"loop not |.*\bwas unable to perform the requested transformation")),
    ("inline-asm", re.compile(r"<inline asm>:|(?:.* )?(?:at line \d+|inline asm|asm )")),
)
#: The group of all else that a back end warns of.
_OTHER: Final = "backend-plugin"

#: Where debug information says something is, or does not: units' own lines mean nothing.
_PLACE: Final = re.compile(r"\A(?:<unknown>|[^\s:]+):\d+:\d+: ")
_MARKED: Final = re.compile(
    r'call to (?P<name>.*) marked "dontcall-(?P<how>warn|error)"(?:: (?P<why>.*))?', re.S
)
_FRAME: Final = re.compile(
    r"(?P<what>stack frame size \(\d+\) exceeds limit \(\d+\)) in (?:function )?'?(?P<name>[^']*)'?", re.S
)
_MISSED: Final = re.compile(r"Could not find (?:incbin|include) file")
_PLACEHOLDER: Final = re.compile(r"(?<![\w.$])nc\.\d+(?![\w.$])", re.ASCII)
#: How LLVM begins a line of its own, where nobody handles diagnostics (llvm/lib/IR/LLVMContext.cpp).
_SPOKEN: Final = re.compile(
    r"^(?:(?P<place>[^\s:]*(?: asm>)?:\d+:(?:\d+:)?) )?(?P<severity>error|warning): ", re.MULTILINE
)


def group(said: Diagnostic) -> str:
    """The warning group under which clang lists a diagnostic, as `-W` takes it."""
    text = _PLACE.sub("", said.text)
    return next((name for name, words in _GROUPS if words.match(text)), _OTHER)


def is_removable(said: Diagnostic) -> bool:
    """Whether a diagnostic is an error only as long as no optimisation removes a call.

    Who sees more of a file may remove it.
    """
    marked = _MARKED.fullmatch(said.text.strip())
    return said.severity == "error" and marked is not None


def misses_file(said: Diagnostic) -> bool:
    """Whether it is an error of an assembler that searches no folders: clang's searches those of `-I`."""
    return said.severity == "error" and _MISSED.search(said.text) is not None


def line(
    said: Diagnostic, label: str, function: str, names: Mapping[str, str], *, error: bool = False
) -> str:
    """A diagnostic for people: file, function, what is the matter, and the flag that silences it.

    `names`: what placeholders stand for.
    """
    text = _PLACE.sub("", said.text.strip())
    text = _PLACEHOLDER.sub(lambda match: names.get(match[0], match[0]), text)
    flag = f" [-W{group(said)}]" if said.severity == "warning" else ""
    if marked := _MARKED.fullmatch(text):
        how = "warning" if marked["how"] == "warn" else "error"
        text = f"call to '{marked['name']}' declared with '{how}' attribute"
        text += f": {marked['why']}" if marked["why"] else ""
    elif frame := _FRAME.fullmatch(text):
        text, function = frame["what"], frame["name"] or function
    severity = "error" if error or said.severity == "error" else "warning"
    first = (text.splitlines() or [""])[0]  # what follows of inline asm is an excerpt of it
    return f"{label}: in function '{function}': {severity}: {first}{flag}"


class Wanted:
    """What a command line's `-W` and `-w` make of clang's warnings: the last word on a group counts."""

    def __init__(self, flags: Sequence[str]) -> None:
        self._silent = "-w" in flags or "--no-warnings" in flags
        self._all = False
        self._quiet = False  # -Wno-everything, but for what was asked for after it
        self._on: set[str] = set()
        self._off: set[str] = set()
        self._errors: set[str] = set()
        self._no_errors: set[str] = set()
        for flag in flags:
            if flag.startswith("-W") and not flag.startswith(("-Wl,", "-Wa,", "-Wp,")):
                self._read(flag[2:])

    def _read(self, word: str) -> None:
        no = word.startswith("no-")
        word = word.removeprefix("no-")
        if word == "error":
            self._all = not no
            return
        if word.startswith("error="):
            name = _name(word.removeprefix("error="))
            (self._no_errors if no else self._errors).add(name)
            (self._errors if no else self._no_errors).discard(name)
            if not no:
                self._off.discard(name)
                self._on.add(name)
            return
        if word == "everything":
            self._quiet = no
            self._on.clear()
            self._off.clear()
            return
        (self._off.add if no else self._off.discard)(_name(word))
        (self._on.discard if no else self._on.add)(_name(word))

    def is_ignored(self, said: Diagnostic) -> bool:
        """Whether clang would not say a diagnostic."""
        name = group(said)
        off = self._silent or name in self._off or (self._quiet and name not in self._on)
        return said.severity == "warning" and off

    def is_error(self, said: Diagnostic) -> bool:
        """Whether clang would end with a diagnostic."""
        if said.severity == "error":
            return True
        name = group(said)
        return not self.is_ignored(said) and (
            name in self._errors or (self._all and name not in self._no_errors)
        )


def _name(word: str) -> str:
    """A group without its value or parts: `-Wframe-larger-than=9`, `-Wpass-failed=transform-warning`."""
    name = word.partition("=")[0]
    return "pass-failed" if name == "transform-warning" else name


@contextmanager
def overheard(said: list[Diagnostic]) -> Iterator[None]:
    """Adds to `said` what LLVM prints meanwhile, if standard error is a file, as in worker processes."""
    start = os.lseek(2, 0, os.SEEK_END) if stat.S_ISREG(os.fstat(2).st_mode) else None
    yield
    if start is not None and (end := os.lseek(2, 0, os.SEEK_END)) > start:
        said += read_spoken(os.pread(2, end - start, start).decode("utf-8", "replace"))


def read_spoken(text: str) -> list[Diagnostic]:
    """The warnings and errors in what LLVM printed."""
    matches = list(_SPOKEN.finditer(text))
    ends = [*(match.start() for match in matches[1:]), len(text)][: len(matches)]
    found = []
    for match, end in zip(matches, ends, strict=True):
        words = text[match.end() : end].splitlines()
        kept = words[0] if words else ""
        place = f"{match['place']} " if match["place"] else ""
        found.append(Diagnostic("error" if match["severity"] == "error" else "warning", place + kept))
    return found


def encode_diagnostics(said: Sequence[Diagnostic]) -> list[list[str]]:
    """Diagnostics as an entry's metadata holds them."""
    return [[one.severity, one.text] for one in said]


def decode_diagnostics(stored: object) -> list[Diagnostic]:
    """Diagnostics from an entry's metadata; none where there are none."""
    if not isinstance(stored, list):
        return []
    return [Diagnostic("error" if severity == "error" else "warning", str(text)) for severity, text in stored]
