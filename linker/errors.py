"""The two ways in which linking goes wrong."""


class LinkError(Exception):
    """No image was written; the message says why, in one line or in a few lines of linker output."""


class BadObject(Exception):
    """The bytes are not an object or archive that this package can read."""
