"""What an LLVM must be able to do to make keys and objects; `llvm.py` and `libllvm.py` have one each."""

from __future__ import annotations

from typing import Final, Protocol

from nativecache.aot.codegen.diagnostics import Diagnostic
from nativecache.aot.codegen.flags import VECTORIZE_FROM
from nativecache.aot.key import Compiler, Options

#: The clean-up takes a fifth of the lines away, so that sizes can be judged and bodies carried in fewer
#: words; the three passes are the ones that LLVM's own pipeline runs first. One visit of instcombine
#: is enough for that.
SIMPLIFY: Final = "simplifycfg,sroa,instcombine<no-verify-fixpoint>"


def pass_tuning(options: Options) -> tuple[bool, bool, bool, bool]:
    """Whether loops and blocks are vectorised, loops unrolled and interleaved (as clang sets these)."""
    default = options.level >= VECTORIZE_FROM
    unroll = default if options.unroll is None else options.unroll
    return default, default, unroll, unroll


#: What goes before LLVM's own pipeline where units inline more than what must be: callees were cleaned up
#: before they were carried, so they can be inlined as they are, and what is inlined everywhere is gone before
#: it is optimised for nothing. What is left meets LLVM's own inliner as ever. Units of C++ with JSON take
#: 0.70 of the time, of Lua 0.85; the programs run as fast (0.4 % fewer to 0.4 % more instructions).
INLINE_FIRST: Final = "require<profile-summary>,cgscc(inline),globaldce"
#: Bytes of bitcode up to which that pays: what is long, and inlined in several places, is better optimised
#: before (units of lz4 beyond that: 1.12).
INLINE_MOST: Final = 1 << 15
#: From this level on clang inlines more than what must be.
INLINE_FROM: Final = 2


#: The variable that lists what is to stay whatever linkers find. A target machine remembers the addresses of
#: what was in one's list: what the next module has there would be marked, too (`Used` in LLVM's
#: TargetLoweringObjectFileELF). So a module that has one is emitted by a machine of its own.
MARKING: Final = "llvm.used"
#: The module flag that says up to what size RISC-V's data is small. Machines remember the last one's, too:
#: those that emit modules which have one emit no others.
SMALL_DATA: Final = b"SmallDataLimit"


class Engine(Protocol):
    """The LLVM that makes keys and objects. Its calls raise RuntimeError with LLVM's reason."""

    @property
    def identity(self) -> Compiler:
        """What of the engine's LLVM goes into keys."""

    @property
    def path(self) -> str:
        """Where the engine's library was found, which may be a link; empty for one that comes with us."""

    def load(self) -> None:
        """Loads LLVM if it is not: before workers are forked, so that not each of them has to."""

    def data_layout(self, options: Options) -> str:
        """The data layout of a target. Raises RuntimeError for one that LLVM does not know."""

    def unit_bitcode(self, text: str) -> bytes:
        """A unit's bitcode, parsed in a fresh context (another module's leavings would change it)."""

    def simplify(self, text: str, options: Options) -> str:
        """A unit's IR after a cheap clean-up of each function alone (`SIMPLIFY`), printed."""

    def emit(self, bitcode: bytes, options: Options, said: list[Diagnostic] | None = None) -> bytes:
        """Optimises a unit and generates code. Sees nothing but what is in the key.

        LLVM's warnings go to `said`, where one is given, else to standard error. Raises Refused for code that
        LLVM has no object of.
        """
