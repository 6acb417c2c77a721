"""A small program in a folder with its cache, built many times by forks of the test process."""

import multiprocessing
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stores import Kind

import nativecache.aot.build  # noqa: F401 - loaded before forks
from nativecache.cli import start

SOURCES = {
    "main.c": '#include "value.h"\nint f(int); int g(int);\nint main(void) { return f(VALUE) - g(VALUE); }\n',
    "f.c": "int table[4] = {1, 2, 3, 4};\nint f(int n) { return table[n & 3] * n; }\n",
    "g.c": "static int help(int n) { return n + 7; }\nint g(int n) { return help(n) ^ help(n * 3); }\n",
    "value.h": "#define VALUE 5\n",
}
WORDS = ("build", "main.c", "f.c", "g.c", "-O1", "-o", "app")


@dataclass(frozen=True)
class Space:
    folder: Path
    kind: Kind

    def build(self) -> str:
        """Builds in a fork of this process; what it wrote to stderr."""
        context: Any = multiprocessing.get_context("fork")
        process = context.Process(target=self._build)
        process.start()
        process.join()
        errors = (self.folder / "stderr").read_text()
        assert process.exitcode == 0, errors
        return errors

    def _build(self) -> None:
        os.chdir(self.folder)
        for name in [name for name in os.environ if name.startswith("NATIVECACHE_")]:
            del os.environ[name]
        os.environ["NATIVECACHE_DIR"] = str(self.folder / "cache")
        os.environ["NATIVECACHE_STORE"] = self.kind.name
        sys.argv[1:] = WORDS
        with open("stdout", "w") as sys.stdout, open("stderr", "w") as sys.stderr:
            start.main()

    @property
    def image(self) -> bytes:
        return (self.folder / "app").read_bytes()

    def files(self) -> list[Path]:
        return sorted(path for path in (self.folder / "cache").rglob("*") if path.is_file())
