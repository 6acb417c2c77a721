"""What a build writes, as far as it decides what symbols mean and what must stay in units."""

from __future__ import annotations

from typing import Final

from nativecache.aot.request import EmitKind
from nativecache.linker.values import dataclass


@dataclass(frozen=True, slots=True)
class OutputModel:
    """The kind of output, and what is known of it before any symbol is resolved."""

    kind: EmitKind = "exe"
    #: Whether exported symbols may be replaced at run time, as in a shared library.
    interposable: bool = False
    #: Whether native inputs hold common symbols.
    native_common: bool = False
    #: Whether native inputs list constructors in sections that linkers sort differently, or need symbols that
    #: only some linkers define.
    native_padded: bool = False
    #: The folder that was compiled in, as debug information has it.
    directory: str = ""
    #: Whether comdats stay comdats even in an image, for the linker may resolve a member of one elsewhere:
    #: GNU ld wraps what refers to a group's member in a file whose group is left out.
    keeps_comdats: bool = False

    @property
    def is_image(self) -> bool:
        """Whether the output is whole: not an object or archive, which is linked again with others."""
        return self.kind not in ("object", "archive")

    @property
    def drops_comdats(self) -> bool:
        """Whether what prevails here prevails for good, so that nothing needs to be in a comdat."""
        return self.is_image and not self.keeps_comdats

    @property
    def separate(self) -> bool:
        """Whether each module becomes an object of its own, whose locals no other can name."""
        return self.kind == "archive"


#: An executable whose symbols nothing replaces.
EXECUTABLE: Final = OutputModel()
