"""Finds what of modules that stand names functions of which something else is to be seen than before.

How long a body is, how hot, and whether one call reaches it decides what is inlined into those that name it,
and nothing else: of a module that stands these are looked at again, and the rest is as it was.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from typing import Final

from nativecache.aot.front.load import LoadedText
from nativecache.aot.ir.syntax import FUNCTION, TOKEN, quote, symbol_name
from nativecache.aot.packed import decode_names
from nativecache.aot.records.last_plan import LastPlan, ModuleState
from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass

#: What may go on behind a name.
_GOES_ON: Final = r"(?![-\w.$])"


@dataclass(frozen=True, slots=True)
class Sighting:
    """Positions of the units that name some functions, and those of them that are one function, by token."""

    positions: frozenset[int]
    functions: frozenset[str]


def find_sighting(
    last: LastPlan, i: int, identifier: str, text: LoadedText, names: Collection[str]
) -> Sighting | None:
    """What of a module names any of these functions; None where more than its units has to do with it.

    `identifier`: what the module's promoted locals' names end in. Raises BuildError where the text cannot be
    read any more.
    """
    state = last.state(i)
    positions = {token: n for n, unit in enumerate(state.units) for token in unit[1]}
    alone = {unit[1][0] for unit in state.units if unit[0] == "function"}
    dropped, found = frozenset(state.dropped), set[str]()
    tokens = {"@" + quote(name.removesuffix(f".{identifier}")) for name in names}
    for is_function, token in _namers(text, tokens):
        if token in dropped:
            continue
        if token not in positions or (is_function and token not in alone):
            return None
        found.add(token)
    own = {symbol_name(token): token for token in alone}
    for name in _brought_up(state, names):
        token = own.get(name) or own.get(name.removesuffix(f".{identifier}"), "")
        if not token:
            return None
        found.add(token)
    return Sighting(frozenset(positions[token] for token in found), frozenset(found & alone))


def _namers(text: LoadedText, tokens: Collection[str]) -> Iterator[tuple[bool, str]]:
    """Tokens of what names any of some symbols in a module, as often as it does, and whether it is a
    function; "" for what is neither a function nor a variable."""
    pattern = re.compile(f"(?:{'|'.join(map(re.escape, sorted(tokens)))}){_GOES_ON}", re.ASCII)
    cuts, printed = text.cuts, text.text
    starts = [start for _, start, _, _ in cuts]
    for match in pattern.finditer(printed):
        n = bisect_right(starts, match.start()) - 1
        if n >= 0 and match.start() < cuts[n][2]:
            function = FUNCTION.match(printed, starts[n])
            yield True, function[9] if function else ""
            continue
        begin = printed.rfind("\n", 0, match.start()) + 1
        if printed.startswith(("declare ", "; "), begin):
            continue
        variable = TOKEN.match(printed, begin)
        is_plain = variable and re.search(r" (?:global|constant) ", printed[begin : match.start()])
        yield False, variable[0] if variable and is_plain else ""


def _brought_up(state: ModuleState, names: Collection[str]) -> Iterator[str]:
    """Final names of functions that came to name any of these by the clean-up, and others that name them."""
    for name, row in state.bodies.items():
        mentions = row[4]
        if any(one in mentions for one in names) and not set(decode_names(mentions)).isdisjoint(names):
            yield name
