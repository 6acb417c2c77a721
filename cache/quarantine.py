"""The quarantine of a cache folder: damaged entries, set aside for people to look at."""

from __future__ import annotations

import os
from pathlib import Path

from nativecache.cache.files import make_folder, write_file
from nativecache.cache.layout import LAYOUT, QUARANTINE


def set_aside(root: Path, name: str, data: bytes) -> str:
    """Keeps bytes in a cache folder's quarantine; returns the file. Raises OSError if it cannot."""
    path = quarantined_path(root, name)
    write_file(path, data)
    return path


def quarantined_path(root: Path, name: str) -> str:
    """The file of a name in a cache folder's quarantine, whose folder is made. Raises OSError."""
    folder = os.path.join(root, LAYOUT, QUARANTINE)
    make_folder(folder)
    return os.path.join(folder, name)
