"""The packs of a cache folder, as look-ups see them: opened when first needed, and again when others come."""

import os
import time

from nativecache.cache.layout import packs_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nativecache.cache.pack import Pack

#: A folder that was changed so shortly before it was listed may have changed again within one tick of the
#: clock of the file system, in nanoseconds.
_TICK_NS = 20_000_000
#: A pack may be replaced by another one between being listed and being opened.
_ATTEMPTS = 3
#: So many files are worth a pack: they take 256 kB, and a pack two blocks besides its entries.
ENOUGH = 64


class Packs:
    """The packs of a cache folder. Each is opened once; one that is removed meanwhile can still be read.

    One that is damaged or of another version is left alone: its entries are misses. The newest comes first:
    what was found damaged in another was made again.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._folder = packs_folder(root)
        self._listed = -1
        self._open: dict[str, Pack | None] = {}
        self._newest_first: list[Pack] = []

    def get(self, key: str) -> "tuple[Pack, int] | None":
        """The pack with an entry of a key and its number in it, None if no pack has one. Raises OSError."""
        self._list()
        for pack in self._newest_first:
            if (number := pack.find(key)) is not None:
                return pack, number
        return None

    def _list(self) -> None:
        try:
            status = os.stat(self._folder)
        except OSError:  # none was ever made
            self._open, self._newest_first = {}, []
            return
        if status.st_mtime_ns == self._listed:
            return
        from nativecache.cache.pack import pack_names

        settled = time.time_ns() - status.st_mtime_ns > _TICK_NS
        self._listed = status.st_mtime_ns if settled else -1
        for _ in range(_ATTEMPTS):
            names, known = list(pack_names(self._folder)), self._open
            self._open = {name: known[name] if name in known else self._opened(name) for name in names}
            lost = [name for name in names if self._open[name] is None]
            if all(os.path.lexists(os.path.join(self._folder, name)) for name in lost):
                break
        found = [pack for pack in self._open.values() if pack]
        self._newest_first = sorted(found, key=lambda pack: pack.written, reverse=True)

    def _opened(self, name: str) -> "Pack | None":
        from nativecache.cache.pack import BadPack, Pack

        try:
            return Pack(os.path.join(self._folder, name))
        except (OSError, BadPack):
            return None
