"""Builds the C example, edits one function in a copy, builds again, and runs both: `make demo`."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

EXAMPLE = Path(__file__).parent / "c"
BUILD = [sys.executable, "-m", "nativecache.cli.start", "build"]
SOURCES = ["main.c", "lexer.c", "parser.c", "functions.c"]


def step(title: str, command: list[str], folder: Path) -> None:
    print(f"\n# {title}\n$ {' '.join(command).replace(' '.join(BUILD), 'nativecache build')}", flush=True)
    environment = os.environ | {"NATIVECACHE_DIR": str(folder / "cache")}
    subprocess.run(command, cwd=folder, check=True, env=environment)


def main() -> None:
    build = [*BUILD, *SOURCES, "-o", "calc", "--", "-lm"]
    run = ["./calc", "half(9) + fact(5)"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "calc"
        shutil.copytree(EXAMPLE, folder)
        step("A first build, with an empty cache", build, folder)
        step("What it built", run, folder)

        functions = folder / "functions.c"
        functions.write_text(functions.read_text().replace("return x / 2;", "return x / 2 + 1000;"))
        print("\n# One function edited: in functions.c, half() now returns x / 2 + 1000")
        step("The second build", build, folder)
        step("What it built", run, folder)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
