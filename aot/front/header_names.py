"""The names under which clang may have looked for files: as written in `#include`, `#embed` and flags."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import pairwise

from nativecache.aot.front import questions


def embed_folders(flags: Sequence[str]) -> list[str]:
    """Where `#embed` looks, which clang does not tell."""
    words = questions.preprocessor_words(flags)
    folders = [word.partition("=")[2] for word in words if word.startswith("--embed-dir=")]
    return [*folders, *(value for word, value in pairwise(words) if word == "--embed-dir")]


def plain_path(path: str) -> str:
    """A path as clang writes it to a depfile (LLVM's remove_leading_dotslash)."""
    while len(path) > 2 and path.startswith("./"):
        path = path[2:].lstrip("/")
    return path.rstrip("/") or "."


def spellings(path: str, places: set[str]) -> list[str]:
    """What an `#include` may have called a file: its path from any of the places.

    Between the two may be several slashes, as clang leaves them in names of folders for `#embed`.
    """
    names = [] if path.startswith("/") else [path]
    cut = path.rfind("/")
    while cut > 0:
        if path[:cut].rstrip("/") in places:
            names.append(path[cut:].lstrip("/"))
        cut = path.rfind("/", 0, cut)
    return names or [os.path.basename(path)]


def named_files(flags: Sequence[str], folder: str = "") -> list[str]:
    """Files that flags name as a word or behind an equals sign or comma, from a folder if one is given."""
    words = [part for flag in flags for part in (flag, *re.split("[=,]", flag)[1:])]
    return [path for word in words if word and os.path.isfile(path := os.path.join(folder, word))]


def precompiled_names(flags: Sequence[str]) -> list[str]:
    """What clang would take in place of a header that a flag includes."""
    words = [re.sub(r"^--?include=?", "", word) for word in questions.preprocessor_words(flags)]
    return [f"{word}.{end}" for word in words for end in ("pch", "gch") if word and word[0] != "-"]
