"""Condenses what GNU ld, gold, lld and mold print into one line a problem.

An undefined symbol becomes `undefined symbol: NAME (referenced by F, G)`, once, however often it is used.
The forms read here are those of binutils 2.40, LLVM 22 and mold 1.10, in the C locale.
"""

from __future__ import annotations

from nativecache.linker import lazy_re as re

MAX_LINES = 20
_MAX_REFERRERS = 3

_TOOL = re.compile(r"^(?:[^\s:]*/)?(?:[\w-]+-)?(?:ld|lld|mold)(?:[.-][\w.-]+)?: (?:(?:error|fatal): )?")
_NOISE = re.compile(r"^collect2: |linker command failed|^\s*$|bad value$")
_BFD_PLACE = re.compile(r"^(?P<object>.+): in function [`'](?P<function>.+)':$")
_BFD_UNDEFINED = re.compile(r"^(?P<place>.*?):? (?:error: |more )?undefined references? to [`'](?P<name>.+)'")
_LLD_UNDEFINED = re.compile(r"^undefined (?:\w+ )?symbol: (?P<name>.+)$")
_LLD_PLACE = re.compile(r"^>>>\s+\S.*:\((?P<function>.+?)\)(?: in archive .*)?$")
_GOLD_PLACE = re.compile(r":function (?P<function>.+?)(?::|$)")


def condense(output: str, archive: str, max_lines: int | None = MAX_LINES) -> list[str]:
    """The problems of a failed link, one line each, in the order in which the linker printed them.

    `archive` is how the paths of the build's own archives begin; it is left out of their members' names. With
    `max_lines` a last line tells how many more there are.
    """
    undefined: dict[str, list[str]] = {}
    problems: list[str] = []
    obj = function = name = ""
    for line in _lines(output, archive):
        if found := _LLD_UNDEFINED.match(line):
            name = found["name"]
            _note(undefined, problems, name, "")
        elif line.startswith(">>>"):
            if name and (found := _LLD_PLACE.match(line)):
                _note(undefined, problems, name, found["function"])
            elif not name and problems:
                problems[-1] += "; " + line[3:].strip()
        elif found := _BFD_PLACE.match(line):
            obj, function = found["object"], found["function"]
        elif found := _BFD_UNDEFINED.match(line):
            name = ""
            _note(undefined, problems, found["name"], _referrer(found["place"], function))
        elif "warning: " not in line:
            name = ""
            if "(.text" in line and "multiple definition" in line:
                line = f"{obj}: {line}"  # GNU ld says the object only with the function
            if line not in problems:
                problems.append(line)
    lines = [_describe(problem, undefined) for problem in problems]
    if max_lines is not None and len(lines) > max_lines:
        lines[max_lines:] = [f"and {len(lines) - max_lines} more"]
    return lines


def warnings(output: str, archive: str) -> tuple[str, ...]:
    """What a linker printed although it succeeded, each line once; `archive` as for `condense`."""
    return tuple(dict.fromkeys(_lines(output, archive)))


def _lines(output: str, archive: str) -> list[str]:
    ours = re.escape(archive) + r"\.\d+\.a"
    text = re.sub(ours + r"\(([^)\n]*)\)", r"\1", output)
    text = re.sub(" in archive " + ours, "", text)
    text = re.sub(r"(?<!\n)>>> referenced", "\n>>> referenced", text)  # mold runs these together
    return [_TOOL.sub("", line.rstrip()) for line in text.split("\n") if not _NOISE.search(line)]


def _note(undefined: dict[str, list[str]], problems: list[str], name: str, referrer: str) -> None:
    if name not in undefined:
        undefined[name] = []
        problems.append("undefined symbol: " + name)
    if referrer and referrer not in undefined[name]:
        undefined[name].append(referrer)


def _referrer(place: str, function: str) -> str:
    """GNU ld says the function once for many references, gold each time, neither for data."""
    if in_gold := _GOLD_PLACE.search(place):
        return in_gold["function"]
    return function if "(.text" in place else place.removesuffix(":")


def _describe(problem: str, undefined: dict[str, list[str]]) -> str:
    referrers = undefined.get(problem.removeprefix("undefined symbol: "))
    if not referrers:
        return problem
    referrers.sort()  # linkers with threads meet them in any order
    more = f" and {len(referrers) - _MAX_REFERRERS} more" if len(referrers) > _MAX_REFERRERS else ""
    return f"{problem} (referenced by {', '.join(referrers[:_MAX_REFERRERS])}{more})"
