"""Folders for temporary files, made and removed without `tempfile` and `shutil`, which take 6 ms to load."""

import os
from contextlib import suppress

_FOLDERS = ("/tmp", "/var/tmp", "/usr/tmp", ".")


def make_temporary_folder() -> str:
    """A new folder that only this user can look into, where `tempfile` would make one.

    Raises OSError where there is no folder that can be written to.
    """
    for parent in _parents():
        folder = os.path.join(os.path.abspath(parent), f"nativecache-{os.urandom(8).hex()}")
        with suppress(OSError):
            os.mkdir(folder, 0o700)
            if _holds_files(folder):
                return folder
            os.rmdir(folder)
    raise FileNotFoundError(0, f"none of {', '.join(_parents())} takes a file")


def temporary_parent() -> str:
    """The first folder that is there of those in which temporary files are made, for messages."""
    return next(filter(os.path.isdir, _parents()), _FOLDERS[0])


def _parents() -> tuple[str, ...]:
    named = [folder for name in ("TMPDIR", "TEMP", "TMP") if (folder := os.environ.get(name))]
    return (*named, *_FOLDERS)


def _holds_files(folder: str) -> bool:
    """Whether a file can be written to a new folder: its disk may be full."""
    probe = os.path.join(folder, "probe")
    try:
        with open(probe, "wb") as file:
            file.write(b"probe")
    except OSError:
        return False
    finally:
        with suppress(OSError):
            os.unlink(probe)
    return True


def remove_folder(path: str) -> None:
    """Removes a folder and what is in it, as far as that can be done."""
    with suppress(OSError):
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    remove_folder(entry.path)
                else:
                    with suppress(OSError):
                        os.unlink(entry.path)
        os.rmdir(path)
