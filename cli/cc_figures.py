"""What the command did as a compiler, for people and programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

#: Why the real compiler was run untouched, by the reasons that `Passed` gives.
_PASSED: Final = {
    "link": "linked",
    "preprocessing": "only preprocessed",
    "another_output": "wrote something else than an object",
    "more_outputs": "wrote more files than an object and a depfile",
    "several_sources": "several sources",
    "no_source": "no source that is a plain file",
    "language": "a language other than C, C++ and assembly to be preprocessed",
    "special_output": "an output that is no plain file, or in no folder to write to",
    "response_file": "a response file that cannot be read",
    "unknown_flag": "a flag that is not known here",
    "inner_option": "an option of clang's inner parts (-Xclang, -mllvm)",
    "instrumented": "sanitizers, profiles or coverage",
    "modules": "modules",
    "native_cpu": "for the machine's own processor",
    "environment": "the environment has clang write more files",
    "not_clang": "a compiler other than clang",
    "refused": "it cannot be told what it rests on",
}


def compiler_figures(counts: Mapping[str, int]) -> dict[str, Any]:
    """How often the command was a compiler, and what came of it."""
    passed = {name.removeprefix("passed_"): n for name, n in sorted(counts.items()) if name[:7] == "passed_"}
    names = ("hits", "misses", "not_kept", "failed")
    return {
        "calls": counts.get("wrapped", 0),
        **{name: counts.get(f"wrapped_{name}", 0) for name in names},
        "passed": passed,
    }


def compiler_lines(figures: Mapping[str, Any]) -> list[str]:
    """Lines about `compiler_figures`; none where the command was no compiler."""
    if not figures["calls"]:
        return []
    hits, misses = figures["hits"], figures["misses"]
    share = f" ({100 * hits / (hits + misses):.1f} %)" if hits + misses else ""
    lines = [f"as compiler {figures['calls']} calls, {hits} hits{share}, {misses} misses"]
    for name, words in (("not_kept", "compiled and not kept"), ("failed", "failed to compile")):
        if figures[name]:
            lines.append(f"            {figures[name]} {words}")
    for reason, number in sorted(figures["passed"].items(), key=lambda item: -item[1]):
        lines.append(f"passed on   {number} {_PASSED.get(reason, reason)}")
    return lines
