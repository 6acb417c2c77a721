"""What link drivers and linkers look at in the environment. Imports nothing: it is asked before all else."""

#: Names of variables.
NAMES = frozenset(
    (
        *("PATH", "HOME", "PWD", "TMPDIR", "LANG", "LANGUAGE", "LIBRARY_PATH", "COMPILER_PATH", "SDKROOT"),
        *("SOURCE_DATE_EPOCH", "QA_OVERRIDE_GCC3_OPTIONS"),
    )
)
#: How names of others begin.
PREFIXES = ("LD", "LC_", "CCC_", "CLANG_", "GCC_", "COLLECT_", "GNUTARGET", "MOLD_", "ZIG_")


def matters(name: str) -> bool:
    """Whether an environment variable of this name may change what is linked."""
    return name in NAMES or name.startswith(PREFIXES)
