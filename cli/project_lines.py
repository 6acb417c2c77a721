"""From a project's targets to the command lines by which they are built."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from nativecache.cli.globs import Found, is_glob, matches
from nativecache.cli.option_table import INPUT, LINK, OURS
from nativecache.cli.own_flags import with_own
from nativecache.cli.project import Flags, Project, Target, in_order
from nativecache.cli.project_flags import BadFlags, read_flags, read_link_flags
from nativecache.cli.words import BadWords, Word
from nativecache.linker import lazy_re as re

#: Kinds of which an image is linked.
_IMAGES: Final = ("exe", "shared")
#: What is a file among libraries, and no library's name.
_FILE: Final = re.compile(r"/|\.(?:a|o|so(?:\.[\d.]+)?)$")


def target_line(project: Project, target: Target, profile: str, found: Found) -> list[Word]:
    """The words by which a target is built, under a profile if one is named.

    `found` has the folders in which files were looked for. Raises BuildError.
    """
    of = project.profiles[profile] if profile else Flags((), ())
    words = _read(project, (), project.flags.compile)
    words += _read(project, ("profile", profile), of.compile)
    words += _read(project, ("target", target.name), target.flags.compile)
    words += [
        Word(OURS, (f"--emit={target.kind}",), "--emit", target.kind),
        Word(OURS, (f"-o{target.output}",), "-o", target.output),
        *_sources(project, target, found),
    ]
    if target.kind == "archive":
        return words
    words += _depends(project, target)
    words += _libraries(project, target)
    links = [*project.flags.link, *of.link] if target.kind in _IMAGES else []
    return [*words, *_read(project, (), links, link=True), *_link_flags(project, target)]


def _read(project: Project, at: tuple[str, ...], flags: Sequence[str], *, link: bool = False) -> list[Word]:
    try:
        return read_link_flags(flags) if link else read_flags(flags)
    except BadFlags as error:
        raise project.problem((*at, "link-flags" if link else "flags"), str(error)) from None


def _sources(project: Project, target: Target, found: Found) -> list[Word]:
    """The target's sources, each once, with the flags that are for it."""
    at = ("target", target.name)
    paths: dict[str, None] = {}
    for pattern in target.sources:
        files = [path for path in found.files(pattern) if not matches(path, target.exclude)]
        if not files:
            what = "no file is there that it names" if is_glob(pattern) else "there is no such file"
            raise project.problem((*at, "sources"), f"'{pattern}': {what}")
        paths.update(dict.fromkeys(files))
    own = {pattern: _own(project, target, pattern) for pattern in target.flags_for}
    for pattern in own:
        if not any(matches(path, [pattern]) for path in paths):
            raise project.problem(
                (*at, "flags-for", pattern), f"'{pattern}': no source of the target is named so"
            )
    return [
        with_own(
            Word(INPUT, (f"./{path}" if path[0] in "-@" else path,)),  # which would be an option
            [word for pattern, words in own.items() if matches(path, [pattern]) for word in words],
        )
        for path in paths
    ]


def _own(project: Project, target: Target, pattern: str) -> list[Word]:
    at = ("target", target.name, "flags-for", pattern)
    try:
        words = read_flags(target.flags_for[pattern])
        with_own(Word(INPUT, (pattern,)), words)
    except (BadFlags, BadWords) as error:
        raise project.problem(at, str(error)) from None
    for word in words:
        if word.place == OURS and word.name != "-O":
            raise project.problem(
                at, f"'{' '.join(word.words)}' is for a whole target: put it into its flags"
            )
    return words


def _depends(project: Project, target: Target) -> list[Word]:
    """What a target links of others: their outputs, and what archives among them are linked with."""
    direct = set(target.depends)
    waiting = [*target.depends]
    while waiting:
        other = project.targets[waiting.pop()]
        if other.kind == "archive":  # which links nothing itself
            waiting += [name for name in other.depends if name not in direct]
            direct.update(other.depends)
    # What needs another stands before it.
    names = [name for name in reversed(in_order(project.targets, target.depends)) if name in direct]
    words = []
    for name in names:
        other = project.targets[name]
        words.append(Word(INPUT, (other.output,)))
        if target.kind not in _IMAGES:
            continue
        if other.kind == "archive":
            words += _libraries(project, other)
        elif other.kind == "shared":
            folder = os.path.relpath(
                os.path.dirname(other.output) or ".", os.path.dirname(target.output) or "."
            )
            place = "$ORIGIN" if folder == "." else f"$ORIGIN/{folder}"
            words.append(Word(LINK, (f"-Wl,-rpath,{place}",)))
    return words


def _libraries(project: Project, target: Target) -> list[Word]:
    """The libraries of a target, each by its name or as a file."""
    words = []
    for given in target.libraries:
        name = given.removeprefix("-l")
        if not name or name[0] in "-@":
            raise project.problem(
                ("target", target.name, "libraries"), f"'{given}' is no library: name one, or a file"
            )
        words.append(Word(INPUT, (name,)) if _FILE.search(name) else Word(LINK, (f"-l{name}",)))
    return words


def _link_flags(project: Project, target: Target) -> list[Word]:
    """The target's own flags for the link; a shared library has its file's name unless they give it one."""
    words = _read(project, ("target", target.name), target.flags.link, link=True)
    said = ",".join(part for word in words for part in word.words).replace("=", ",").split(",")
    if target.kind == "shared" and {"-soname", "--soname", "-h"}.isdisjoint(said):
        words.insert(0, Word(LINK, (f"-Wl,-soname,{os.path.basename(target.output)}",)))
    return words
