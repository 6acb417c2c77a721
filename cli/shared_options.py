"""Options that builds and `cache` commands have in common, as click declares them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from nativecache.cache.limits import STORES

#: Not asked whether it can be read: who reads it says so, and what is wrong with a cache is no usage error.
PATH = click.Path(path_type=Path, readable=False)


def store_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Declares `--store`, for commands that put entries into a folder."""
    return click.option(
        "--store",
        type=click.Choice(STORES),
        envvar="NATIVECACHE_STORE",
        show_envvar=True,
        help="What entries are kept in: a file each, or one database [default: files].",
    )(function)
