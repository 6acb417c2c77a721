"""Edits of a program's sources, written as data: where, and what is put there.

Sources are other ones on other systems. So a place is found by a pattern, not by a line, and one that is
not found is an error that names the file: an edit that does nothing would measure nothing. Edits are made on
top of each other, as a user makes them, and each has a number that goes into the text, so that no cache has
seen it.
"""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Change:
    """`pattern` becomes `text` in each of the `files`: at its first place, or with `everywhere` at all.

    In `text`, `\\g<0>` is what was found and `{n}` the edit's number; there are no other braces.
    """

    files: tuple[str, ...]
    pattern: str
    text: str
    everywhere: bool = False


@dataclass(frozen=True)
class Edit:
    """What a user would do at once. `kind`: the same word in all projects."""

    kind: str
    changes: tuple[Change, ...]

    def apply(self, folder: Path, number: int) -> None:
        """Raises ValueError where a file has no place for it; nothing is written then."""
        texts: dict[str, str] = {}
        for change in self.changes:
            for name in change.files:
                old = texts.get(name)
                texts[name] = changed(
                    change, name, (folder / name).read_text() if old is None else old, number
                )
        for name, text in texts.items():
            (folder / name).write_text(text)


def changed(change: Change, name: str, text: str, number: int) -> str:
    """The text of the file `name` after a change. Raises ValueError."""
    # Not str.format: the text is C, and C has braces.
    new = change.text.replace("{n}", str(number))
    result, count = re.subn(change.pattern, new, text, count=not change.everywhere, flags=re.MULTILINE)
    if not count:
        raise ValueError(f"{name}: nothing there is {change.pattern!r}")
    return result


def constant(file: str, pattern: str, text: str) -> Edit:
    """Another constant in a function."""
    return Edit("constant", (Change((file,), pattern, text),))


def function(file: str, header: str, argument: str, has_puts: bool = False) -> Edit:
    """A new static function with a string, called first thing in the function that has the `header`."""
    extern = "" if has_puts else "extern int puts(const char *); "
    new = f'static void nc_bench_{{n}}(long x) {{ {extern}if (x == -{{n}}) puts("edit {{n}} of many"); }}\n'
    return Edit("function", (Change((file,), header, f"{new}\\g<0>\n  nc_bench_{{n}}((long) {argument});"),))


def signature(name: str, first: str, declaring: tuple[str, ...], calling: tuple[str, ...]) -> Edit:
    """One parameter more for a function. `first`: how its first one begins, which tells a declaration."""
    declared = rf"\b{name} *\((?={first}|int nc_bench_)"
    called = rf"\b{name} *\((?!\)|{first}|int nc_bench_)"
    return Edit(
        "signature",
        (
            Change(declaring, declared, r"\g<0>int nc_bench_{n}, ", everywhere=True),
            Change(calling, called, r"\g<0>{n}, ", everywhere=True),
        ),
    )


def field(file: str, anchor: str) -> Edit:
    """One field more in a struct of a header, after the `anchor`."""
    return Edit("header", (Change((file,), anchor, r"\g<0>\n  int nc_bench_{n};"),))


def comment(file: str, anchor: str) -> Edit:
    """A line of comment after the `anchor`, near the file's top."""
    return Edit("comment", (Change((file,), anchor, r"\g<0>\n/* edit {n} */"),))
