"""The settings of a cache folder: how much it may hold, for how long, and in what kind of store.

A setting is named on the command line, by an environment variable, in `config.toml` of the cache folder, or
in that of the user; the first that names it counts:

    max-size = "5G"       # of the disk; K, M, G, T are powers of 1024
    max-age = "30d"       # since the last use; s, m, h, d, w
    max-files = 1000000
    store = "files"       # or "sqlite"
"""

import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from nativecache.cache.files import read_plain
from nativecache.cache.layout import CONFIG_NAME

STORES = ("files", "sqlite")

#: The settings that there are fit into a thousandth of this.
_CONFIG_LIMIT = 1 << 20

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?", re.I)
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])", re.I)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}
_NONE = ("0", "none")


class Limits(NamedTuple):
    """The limits of a cache folder: bytes, seconds since the last use, number of entries; None for no limit.

    5 GiB and a month are what ccache and people's habits suggest. A million files is where folders get slow.
    """

    max_size: int | None = 5 * 2**30
    max_age: float | None = 30 * 24 * 3600
    max_files: int | None = 1_000_000


def parse_size(text: str) -> int | None:
    """The bytes that `5G`, `500 MiB`, `1048576` mean; None for `0` and `none`. Raises ValueError."""
    text = text.strip()
    if text.lower() in _NONE:
        return None
    found = _SIZE.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not a size such as 5G or 500M")
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))


def parse_age(text: str) -> float | None:
    """The seconds that `7d`, `12h` mean; None for `0` and `none`. Raises ValueError."""
    text = text.strip()
    if text.lower() in _NONE:
        return None
    found = _AGE.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not an age such as 7d or 12h")
    return float(found[1]) * _UNITS[found[2].lower()]


def parse_files(text: str) -> int | None:
    """The number of entries that a text means; None for `0` and `none`. Raises ValueError."""
    text = text.strip()
    if text.lower() in _NONE:
        return None
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"{text!r} is not a number of files")
    return int(text)


def read_limits(chosen: Mapping[str, str], configurations: tuple[Path, ...]) -> Limits:
    """The limits of a cache folder: as chosen by name (`max-size`), else as the first file with one says.

    Raises ValueError that names the limit or the file where something cannot be understood.
    """
    texts = {**_read_configs(configurations), **{name: _Text(text, name) for name, text in chosen.items()}}
    texts.pop("store", None)
    values: dict[str, int | float | None] = {}
    for name, text in texts.items():
        try:
            values[name.replace("-", "_")] = _PARSERS[name](text.value)
        except ValueError as error:
            raise ValueError(f"{text.place}: {error}") from None
    return Limits(**values)  # type: ignore[arg-type]


def read_store(configurations: tuple[Path, ...]) -> str:
    """The kind of store that the first file with one names; else `files`. Raises ValueError."""
    kind = _read_configs(configurations).get("store", _Text(STORES[0], "store"))
    if kind.value not in STORES:
        raise ValueError(f"{kind.place}: {kind.value!r} is none of {', '.join(STORES)}")
    return kind.value


_PARSERS = {"max-size": parse_size, "max-age": parse_age, "max-files": parse_files}


class _Text(NamedTuple):
    """A setting as it was written, and where, for messages: its name, behind its file's if it has one."""

    value: str
    place: str


def _read_configs(paths: tuple[Path, ...]) -> dict[str, _Text]:
    texts: dict[str, _Text] = {}
    for path in reversed(paths):
        texts |= _read_config(path)
    return texts


def _read_config(path: Path) -> dict[str, _Text]:
    try:
        text, _ = read_plain(path, limit=_CONFIG_LIMIT)
    except OSError as error:
        if error.errno == errno.EFBIG:  # no settings are as large; what is no file at all says nothing
            raise ValueError(f"{path}: {error.strerror}") from None
        return {}
    import tomllib  # here, for builds ask too, and few have such a file

    try:
        found = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, or nested without end
        raise ValueError(f"{path}: {error}") from None
    known = (*_PARSERS, "store")
    unknown = sorted(found.keys() - set(known))
    if unknown:
        raise ValueError(f"{path}: no such setting: {', '.join(unknown)}; there are {', '.join(known)}")
    return {name: _Text(str(value), f"{path}: {name}") for name, value in found.items()}


def user_config(environ: Mapping[str, str]) -> Path:
    """The user's settings file: XDG_CONFIG_HOME/nativecache/config.toml, else that in ~/.config."""
    home = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(home):
        home = os.path.join(environ.get("HOME", "") or os.path.sep, ".config")
    return Path(home, "nativecache", CONFIG_NAME)
