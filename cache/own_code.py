"""Which nativecache this is, to the last edit of whoever works on it.

What another one wrote is not taken for what this one would.

This module is loaded before anything else, to answer in no time when nothing has changed: it imports little.
"""

import os

#: The folders that are installed as nativecache, beside one another.
PARTS = ("aot", "cache", "cli", "linker")

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_digest = ""


def own_files(root: str = _ROOT) -> "list[tuple[str, int, int]]":
    """All modules in all folders below the parts: relative path, size, modification time. Sorted."""
    found: list[tuple[str, int, int]] = []
    waiting = list(PARTS)
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as entries:
                for entry in entries:
                    name = f"{folder}/{entry.name}"
                    if entry.name.endswith(".py"):
                        status = entry.stat()
                        found.append((name, status.st_size, status.st_mtime_ns))
                    elif entry.name != "__pycache__" and entry.is_dir():
                        waiting.append(name)
        except OSError:
            pass  # a part that is not installed
    return sorted(found)


#: What is looked at to tell installations apart in no time: an installation, and a checkout of another
#: version, make new files, which shows in folders.
_QUICK = (*PARTS, "aot/front")


def quick_stamps(names: "tuple[str, ...]") -> str:
    """Times of the folders of modules, and of some modules by their names from the root. 0.05 ms.

    An edit in place of another module does not show.
    """
    found = []
    for name in (*_QUICK, *names):
        status = os.stat(os.path.join(_ROOT, name))
        found.append(f"{name} {status.st_size} {status.st_mtime_ns} {status.st_ino}")
    return "\n".join(found)


def own_stamps() -> str:
    """Sizes and times of all modules: tells installations on one machine apart. 0.3 ms."""
    return "\n".join(f"{name} {size} {modified}" for name, size, modified in own_files())


def own_code() -> str:
    """A digest of all modules, in hexadecimal: the same on other machines and after another installation.

    Read once in a process (2 ms).
    """
    global _digest  # noqa: PLW0603 - cheaper to import than functools.cache
    if not _digest:
        import hashlib

        digest = hashlib.sha256()
        for name, size, _ in own_files():
            digest.update(f"{name} {size}\0".encode())
            with open(os.path.join(_ROOT, name), "rb") as module:
                digest.update(module.read())
        _digest = digest.hexdigest()
    return _digest
