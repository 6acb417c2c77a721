"""The two ways in which linking goes wrong."""


class LinkError(Exception):
    """No image was written; `lines` say why, in one line or in a few that the linker said."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class BadObject(Exception):
    """The bytes are not an object or archive that this package can read."""
