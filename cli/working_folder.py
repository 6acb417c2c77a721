"""Keeps code of the folder that a build is in from being run: that folder is an input, not a program.

Python, shells, dynamic loaders and compilers look for programs, libraries and modules there if told so, and
they take an empty entry of a search path, as in `LD_LIBRARY_PATH=/opt/lib:`, for it. Imports nothing, for it
comes before all else.
"""

import os
import sys

#: Search paths by which programs and code are found. What they hold for compilers to read (CPATH,
#: LIBRARY_PATH) is no code that runs here.
PROGRAMS = ("PATH", "COMPILER_PATH")
#: Search paths that a process takes over when it starts: changes take effect in a new one only.
STARTED_WITH = ("LD_LIBRARY_PATH", "PYTHONPATH")


def leave_working_folder() -> None:
    """Takes relative folders off all search paths for code, starting this process anew if need be."""
    anew = False
    for name in (*PROGRAMS, *STARTED_WITH):
        value = os.environ.get(name, "")
        if not value:
            continue
        kept = without_relative(value)
        if kept != value:
            anew = anew or name in STARTED_WITH
            if kept or name == "PATH":
                os.environ[name] = kept or os.defpath
            else:
                del os.environ[name]
    if anew and sys.executable and sys.orig_argv[1:]:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ)
    forget_modules()


def without_relative(path: str) -> str:
    """A search path without its relative entries, of which empty ones are some."""
    return os.pathsep.join(entry for entry in path.split(os.pathsep) if os.path.isabs(entry))


def forget_modules() -> None:
    """`python -m` has modules looked for in the working folder first. The library's own come from behind."""
    try:
        here = os.getcwd()
    except OSError:  # it is gone, and so is what was in it
        return
    ours = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if sys.path[:1] and sys.path[0] in ("", here) and here != ours and "site-packages" not in here:
        del sys.path[0]
