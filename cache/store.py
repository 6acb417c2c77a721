"""Stores: where bytes are kept under a key, in a folder, in memory, or nowhere.

A store holds opaque values. It may lose or damage them, and it never raises because of it: a value that
cannot be read is not there, a value that cannot be written is not kept. Only a malformed key is an
error, ValueError, since it is the caller's.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from nativecache.cache.format import check_key


class Store(Protocol):
    """A store of bytes under keys of 64 lowercase hex digits; any other key raises ValueError."""

    def get(self, key: str) -> bytes | None:
        """The value last put under `key`, or None."""

    def put(self, key: str, value: bytes) -> None:
        """Keep `value` under `key`, in place of what was there, if that can be done."""


class BuildStore(Store, Protocol):
    """A store as builds need it, which knows besides where it is and tells of its failures."""

    @property
    def root(self) -> Path | None:
        """The folder that the values are in, if they are in one."""

    @property
    def opened_by_tools(self) -> bool:
        """Whether values are where other tools can open them, so that they are best kept as they are."""

    @property
    def keeps(self) -> bool:
        """Whether what is put is there for the next build, so that notes about it are of use."""

    def pass_failures(self, warn: Callable[[str], None]) -> None:
        """Has the first failure told to `warn`: in a forked process, which is to pass it on."""

    def warn_once(self, failure: str) -> None:
        """Says what a forked process passed on, unless a failure was said before."""


class _Elsewhere:
    """What stores without a folder share: there is nothing that could fail."""

    root = None
    keeps = False
    opened_by_tools = True  # there is nothing to be gained by making them smaller

    def pass_failures(self, warn: Callable[[str], None]) -> None:
        return

    def warn_once(self, failure: str) -> None:
        return


class NullStore(_Elsewhere):
    """A store that keeps nothing."""

    def get(self, key: str) -> bytes | None:
        """None for any key."""
        check_key(key)
        return None

    def put(self, key: str, value: bytes) -> None:
        """Drops the value."""
        check_key(key)


class MemoryStore(_Elsewhere):
    """A store that keeps values as long as itself."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        """The value last put under `key`, or None."""
        check_key(key)
        return self._values.get(key)

    def put(self, key: str, value: bytes) -> None:
        """Keeps `value` under `key`, in place of what was there."""
        check_key(key)
        self._values[key] = value


class RefreshStore:
    """A store whose values are all to be made again: each is put, none is got."""

    def __init__(self, store: BuildStore) -> None:
        self._store = store
        self.root = store.root
        self.keeps = store.keeps
        self.opened_by_tools = store.opened_by_tools
        self.pass_failures = store.pass_failures
        self.warn_once = store.warn_once

    def get(self, key: str) -> bytes | None:
        """None for any key."""
        check_key(key)
        return None

    def put(self, key: str, value: bytes) -> None:
        """Keeps `value` under `key` in the store behind this one."""
        self._store.put(key, value)
