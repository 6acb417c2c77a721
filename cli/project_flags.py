"""Which flags a project file may hold: none by which a program is run or loaded that the user has not named.

Who builds a project trusts its code once it runs, not its file with the choice of tools: those are named on
the command line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from nativecache.cli.option_table import BOTH, CLANG, DROPPED, INPUT, LINK, OURS
from nativecache.cli.words import BadWords, read_words

if TYPE_CHECKING:
    from nativecache.cli.words import Word

#: How flags begin by which compilers or linkers run or load what they name, or read more flags from a file.
_RUNS: Final = (
    *("@", "-fplugin", "-fpass-plugin", "-B", "--prefix", "-specs", "--specs", "-wrapper", "--ld-path"),
    *("--config", "--gcc-", "-gcc-", "--sysroot", "-isysroot", "-iplugindir", "-ccc-", "-fthinlto-d"),
    *("-mllvm", "-mmlir", "-load", "--cflag", "--ptxas", "--cuda", "--hip", "--rocm"),
    *("--offload", "-foffload"),
    *("-X", "-ivfsoverlay", "--vfsoverlay", "-vfsoverlay", "--for-assembler", "--for-linker"),
)
#: How words for a linker begin, without hyphens, that do the same.
_LINKER_RUNS: Final = ("@", "plugin", "mllvm", "load-pass-plugin", "thinlto", "fuse-ld", "wrapper")
#: Options of ours that are no choice of tools.
_TAKEN: Final = ("-O", "--target")
#: Linkers that -fuse-ld may choose: by the names of those that the machine has.
_LINKERS: Final = ("bfd", "gold", "lld", "mold")


class BadFlags(Exception):
    """Flags that a project file must not hold: one line of what, why, and what to do instead."""


def read_flags(flags: Sequence[str]) -> list[Word]:
    """Reads flags of a project file for compiling. Raises BadFlags."""
    return [
        word for word in _read(flags) if _checked(word, LINK, "it is for the link: put it into link-flags")
    ]


def read_link_flags(flags: Sequence[str]) -> list[Word]:
    """Reads flags of a project file for linking. Raises BadFlags."""
    return [word for word in _read(flags) if _checked(word, CLANG, "it is for clang: put it into flags")]


def _read(flags: Sequence[str]) -> list[Word]:
    for flag in flags:
        if _runs(flag):
            raise BadFlags(
                f"'{flag}': by it programs may be run or loaded, and a project file cannot name any; "
                "say it on the command line"
            )
        if flag == "--" or flag[:2] == "-x" or flag.startswith("--language"):
            raise BadFlags(f"'{flag}' is not taken here: files are told apart by their names")
    try:
        return read_words([*flags])
    except BadWords as error:
        raise BadFlags(str(error)) from None


def _runs(flag: str) -> bool:
    if flag.startswith("-Wl,"):
        return any(
            part.lstrip("-").startswith(_LINKER_RUNS) or part.lstrip("-") == "run" for part in _parts(flag)
        )
    if flag.startswith("-Wa,"):
        return any(part[:1] == "@" or part.lstrip("-").startswith("mllvm") for part in _parts(flag))
    if flag.startswith("-Wp,"):  # clang hands them to its front end as they are
        return not all(part[:2] in ("-D", "-U") for part in _parts(flag))
    if flag.startswith("-fuse-ld="):
        return flag.partition("=")[2] not in _LINKERS
    return flag.startswith(_RUNS)


def _parts(flag: str) -> Iterator[str]:
    return iter(flag.split(",")[1:])


def _checked(word: Word, elsewhere: str, where: str) -> bool:
    """Whether a word says anything. Raises BadFlags for one that has no place here."""
    said = " ".join(word.words)
    if word.place == elsewhere:
        raise BadFlags(f"'{said}' is not taken here: {where}")
    if word.place == INPUT:
        raise BadFlags(f"'{said}' is no flag: put files into sources, libraries or depends")
    names_linker = word.words[0].startswith("-fuse-ld=") and word.value in _LINKERS
    if word.place == OURS and word.name not in _TAKEN and not names_linker:
        raise BadFlags(f"'{said}' is not taken here: say it on the command line")
    if word.place not in (CLANG, LINK, BOTH, OURS, DROPPED):
        raise BadFlags(f"'{said}' is not taken here: no depfiles are written for a project")
    return word.place != DROPPED
