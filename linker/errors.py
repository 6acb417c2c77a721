"""The two ways in which linking goes wrong."""


class LinkError(Exception):
    """A link failed, and no image was written; `lines` say why, in one line or in a few of the linker's."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class BadObject(Exception):
    """Bytes are not an ELF object or an archive that this package can read."""
