"""The recipe of a key: named fields in order, written into a digest or, in the same words, into a text.

    recipe = field*
    field  = name SPACE length NUL value       length: decimal, of the value in bytes

Every key of the project is the SHA-256 of a recipe. Names and lengths delimit the fields, so bytes that move
from one field into the next make another key. Both sinks walk over the same fields: a text for people cannot
say less than what was hashed.

A name may be repeated, for a list. Two recipes for different things begin with different fields.

This module is loaded before anything else, to answer in no time when nothing has changed: it imports only
what hashes.
"""

from nativecache.cache.sha256 import sha256

TYPE_CHECKING = False  # typing's, whose import would take longer than all that is done here
if TYPE_CHECKING:
    import hashlib
    from collections.abc import Iterator
    from typing import TypeAlias

    Field: TypeAlias = "tuple[str, str | bytes | memoryview]"

#: Longer texts are shown to people by their digests.
_LONGEST_SHOWN = 400
#: How a shown digest begins.
_DIGEST = "sha256 "


class Recipe:
    """What a key is made from. A value is a text, encoded as names of files are (UTF-8), or bytes.

    A name is any text without blanks, NULs and colons; other names raise ValueError. Large values are not
    copied.
    """

    __slots__ = ("fields",)

    def __init__(self, *fields: "Field") -> None:
        self.fields = fields

    def encoded(self) -> "Iterator[bytes | memoryview]":
        """The pieces of bytes that are hashed, in order."""
        names: dict[str, bytes] = {}
        for name, value in self.fields:
            known = names.get(name) or names.setdefault(name, _checked(name))
            data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
            yield b"%s %d\0" % (known, len(data))
            yield data

    def digest(self) -> bytes:
        """The SHA-256 of all fields: 32 bytes."""
        return _hashed(sha256(), self).digest()

    def key(self) -> str:
        """The digest in lowercase hexadecimal, as stores take it."""
        return self.digest().hex()

    def text(self) -> str:
        """A line `name: value` for each field; bytes and long texts are shown as `sha256 HEX`.

        Texts of two recipes differ where their digests do.
        """
        return "".join(f"{name}: {_shown(value)}\n" for name, value in self.fields)


class Begun:
    """A recipe that others begin with: its fields are hashed once."""

    def __init__(self, recipe: Recipe) -> None:
        self._digest = _hashed(sha256(), recipe)

    def key(self, *fields: "Field") -> str:
        """The key of the recipe with these fields behind."""
        return _hashed(self._digest.copy(), Recipe(*fields)).hexdigest()


def _hashed(digest: "hashlib._Hash", recipe: Recipe) -> "hashlib._Hash":
    for piece in recipe.encoded():
        digest.update(piece)
    return digest


def _checked(name: str) -> bytes:
    if not name or " " in name or "\0" in name or ":" in name or not name.isprintable():
        raise ValueError(f"not a name of a field: {name!r}")
    return name.encode()


def _shown(value: "str | bytes | memoryview") -> str:
    if not isinstance(value, str):
        return _DIGEST + sha256(value).hexdigest()
    if len(value) > _LONGEST_SHOWN:
        return _DIGEST + sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
    if value.isprintable() and not value.startswith(("'", '"', _DIGEST)):
        return value
    return ascii(value)
