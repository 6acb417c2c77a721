"""Which calls are hot and which never happen, as the profile metadata of a module tells.

Counts stand at call fixups (sample profiles) or on functions (instrumentation); what is much is told by
the profile's summary, as for LLVM itself (ProfileSummaryInfo). The weights of branches, all that
`__builtin_expect` leaves, say nothing here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Final

from nativecache.aot.ir.syntax import NAME
from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass

#: What the import limit is multiplied by: ThinLTO's -import-cold-multiplier, 1, -import-hot-multiplier.
COLD: Final = 0
WARM: Final = 1
HOT: Final = 10

#: Hot counts make up this many millionths of all, cold ones what this many leave (ProfileSummaryInfo).
_HOT_CUTOFF: Final = 990_000
_COLD_CUTOFF: Final = 999_999

_COUNTED_CALL: Final = re.compile(
    # An invoke takes two lines; a call's own attachments are on its last one.
    rf"^  (?:%[^ ]+ = )?(?:\w+ )?(?:call|invoke) [^\n]*?(@{NAME})\([^\n]*(?:\n +to label [^\n]*)?"
    r", !prof (!\d+)",
    re.MULTILINE | re.ASCII,
)
_ENTRY: Final = re.compile(r" !prof (!\d+)")
_WEIGHT: Final = re.compile(r"i(?:32|64) (-?\d+)")
_CUTOFF: Final = re.compile(r"!\{i32 (\d+), i64 (\d+), i32 \d+\}")


@dataclass(frozen=True, slots=True)
class Profile:
    """A module's thresholds, counts at least and at most. `hot` is None where there is no summary."""

    hot: int | None
    cold: int
    #: Attribute groups with `hot` and `cold`.
    hot_groups: frozenset[str]
    cold_groups: frozenset[str]
    metadata: Mapping[str, str]

    @classmethod
    def read(cls, attributes: Mapping[str, str], metadata: Mapping[str, str], flags: str) -> Profile:
        """From a module's attribute groups, metadata nodes and the text of `llvm.module.flags`."""
        summed = any('"ProfileSummary"' in metadata.get(token, "") for token in flags.split(", "))
        entries = [m for text in metadata.values() if (m := _CUTOFF.fullmatch(text))] if summed else []
        least = {int(cutoff): int(count) for cutoff, count in (entry.groups() for entry in entries)}
        return cls(
            hot=least.get(_HOT_CUTOFF),
            cold=least.get(_COLD_CUTOFF, 0),
            hot_groups=frozenset(g for g, text in attributes.items() if " hot " in text),
            cold_groups=frozenset(g for g, text in attributes.items() if " cold " in text),
            metadata=metadata,
        )

    @property
    def marks_hot(self) -> bool:
        """Whether anything of the module can be hot."""
        return self.hot is not None or bool(self.hot_groups)

    def heat(self, count: int) -> int:
        """COLD, WARM or HOT, for code that runs `count` times."""
        if self.hot is not None and count >= self.hot:
            return HOT
        return COLD if count <= self.cold else WARM

    def function_heat(self, header: str, groups: Collection[str]) -> int:
        """COLD, WARM or HOT for a function, by the first line of its text and the groups named there."""
        if not self.cold_groups.isdisjoint(groups):
            return COLD
        if not self.hot_groups.isdisjoint(groups):
            return HOT
        found = _ENTRY.search(header) if " !prof " in header else None
        text = self.metadata.get(found[1], "") if found else ""
        return self.heat(_total(text)) if text.startswith('!{!"function_entry_count"') else WARM

    def call_counts(self, text: str) -> dict[str, int]:
        """How often a function, given by its text, calls each token, where the profile says so."""
        counts: dict[str, int] = defaultdict(int)
        if " !prof " in text:
            for token, node in _COUNTED_CALL.findall(text):
                weights = self.metadata.get(node, "")
                if weights.startswith('!{!"branch_weights"'):
                    counts[token] += _total(weights)
        return counts


def _total(text: str) -> int:
    # LLVM prints weights as signed numbers.
    return sum(int(number) % (1 << 32 if int(number) < 0 else 1 << 64) for number in _WEIGHT.findall(text))
