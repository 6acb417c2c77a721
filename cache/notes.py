"""Notes of which entries the build of an output used, for whoever carries those elsewhere."""

from nativecache.cache.entry import Entry
from nativecache.cache.lookup import EntryStore
from nativecache.cache.recipe import Recipe
from nativecache.cache.shape import Malformed

_KEY_SIZE = 32


def note_used(store: EntryStore, name: str) -> None:
    """Notes the keys that `store` was asked for as those of the output `name`, and forgets earlier ones."""
    key = _note_key(name)
    payload = b"".join(sorted(map(bytes.fromhex, store.used)))
    store.save(Entry(key, payload, {}))


def read_used(store: EntryStore, name: str) -> list[str] | None:
    """The keys that the last build of the output `name` used, and its note's; None without a note."""
    key = _note_key(name)
    keys = store.read(key, read_note)
    return None if keys is None else [*keys, key]


def read_note(entry: Entry) -> list[str]:
    """The keys in the note of what a build used. Raises Malformed."""
    found = entry.payload
    if len(found) % _KEY_SIZE:
        raise Malformed("a part of a key")
    return [found[at : at + _KEY_SIZE].hex() for at in range(0, len(found), _KEY_SIZE)]


def _note_key(name: str) -> str:
    return note_recipe(name).key()


def note_recipe(name: str) -> Recipe:
    """What the note of the keys that the build of an output used is kept under."""
    return Recipe(("kind", "used"), ("label", name))
