"""A store of files: one for each key, written aside and renamed into place, and packs of many."""

import os
from contextlib import suppress
from functools import cached_property

from nativecache.cache.files import read_plain, write_file
from nativecache.cache.folder_store import FolderStore
from nativecache.cache.layout import entry_path
from nativecache.cache.packs import Packs

#: A folder may vanish between making it and writing to it, where others have just packed what was in it.
_ATTEMPTS = 3


class FileStore(FolderStore):
    """A store with one file per key, ROOT/v1/ab/cdef….o, or one for many, ROOT/v1/packs/….pack.

    What is put is a file of its own. `packing.py` makes packs of what is never replaced; the file of a key
    comes first.

    Safe without a lock on a local filesystem: any number of readers and writers, in any number of threads
    and processes, also while files or whole folders are being deleted. A value is written to a temporary
    name and renamed into place, so a reader gets all of one value or nothing; of two writers the last wins.

    Not safe: network filesystems. There a rename may be reported as failed although it was done, or the
    other way round, and a reader may see an old or a half-written file. Only a checksum inside the value
    tells then.

    Nothing is synced to the disk. That would cost milliseconds per value, and all it would save is what
    was written just before a power cut: such a value may come back torn or empty, which the checksum
    inside it shows, and is then made again.
    """

    @cached_property
    def _packs(self) -> Packs:
        return Packs(self.root)

    def get(self, key: str) -> bytes | None:
        """The value last put under `key`, or None. A use is noted in the file's modification time."""
        path = entry_path(self.root, key)
        try:
            value, modified = read_plain(path)
        except FileNotFoundError:
            return self._get_packed(key)
        except OSError as error:
            self._could_not_read(error.strerror or error)
            return None
        if self._is_stale(modified):
            now = self._clock()
            with suppress(OSError):  # a folder that can only be read is still of use
                os.utime(path, (now, now))
        return value

    def _get_packed(self, key: str) -> bytes | None:
        try:
            found = self._packs.get(key)
            if found is None:
                return None
            pack, number = found
            value = pack.read(number)
        except OSError as error:
            self._could_not_read(error.strerror or error)
            return None
        if self._is_stale(pack.used(number)):
            with suppress(OSError):
                pack.note_used(number, self._clock())
        return value

    def put(self, key: str, value: bytes) -> None:
        """Keeps `value` under `key`, in place of what was there, if that can be done."""
        path = entry_path(self.root, key)
        if not self.keeps:
            return
        for attempt in range(_ATTEMPTS):
            try:
                if attempt:  # the first value in this folder, or the folder has vanished
                    self._make_folders(os.path.dirname(path))
                write_file(path, value)
            except FileNotFoundError as error:
                failure: OSError = error
            except OSError as error:
                failure = error
                break
            else:
                return
        self._could_not_write(failure.strerror or failure)
