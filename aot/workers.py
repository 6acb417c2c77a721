"""The workers of an edit: one pool for all that LLVM is to do, for a fork takes longer than most of that.

They are forked before the program is planned, so they are shown texts, which the driver writes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from nativecache.aot.codegen.engine import Engine
from nativecache.aot.pool import Pool
from nativecache.aot.schedule.tasks import compile_unit, key_text
from nativecache.aot.simplify import simplify_text


def edit_workers(engine: Engine, threads: int) -> Pool:
    """Workers that clean up, key and compile what they are shown. Forked when there is something to do."""
    tasks: dict[str, Callable[..., Any]] = {
        "simplify": partial(simplify_text, engine),
        "key": partial(key_text, engine),
        "compile": partial(compile_unit, engine),
    }
    return Pool(threads, tasks, prepare=engine.load)
