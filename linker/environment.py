"""What compilers, link drivers and linkers look at in the environment.

Imports nothing: it is asked before all else.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

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


#: What clang reads of the environment (clang/lib/Driver), and where the working directory is called.
CLANG_NAMES = frozenset(
    (
        *("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "OBJC_INCLUDE_PATH", "OBJCPLUS_INCLUDE_PATH"),
        *("SOURCE_DATE_EPOCH", "COMPILER_PATH", "GCC_EXEC_PREFIX", "SDKROOT", "PWD"),
        *("RC_DEBUG_OPTIONS", "RC_DEBUG_PREFIX_MAP", "SCE_ORBIS_SDK_DIR", "SCE_PROSPERO_SDK_DIR"),
        *("HIP_PATH", "HIP_DEVICE_LIB_PATH", "ROCM_PATH", "CUDA_PATH"),
        *("MACOSX_DEPLOYMENT_TARGET", "IPHONEOS_DEPLOYMENT_TARGET", "INCLUDE", "EXTERNAL_INCLUDE"),
        *("LD_LIBRARY_PATH", "LD_PRELOAD"),  # may make clang another one
        "LLVM_OVERRIDE_PRODUCER",  # what bitcode says it was made by, as objects of -flto are
    )
)
CLANG_PREFIXES = ("CLANG_",)

#: With these, clang writes more files, or takes other options than it is given.
_CLANG_ELSEWHERE = frozenset(
    ("DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES", "QA_OVERRIDE_GCC3_OPTIONS", "AS_SECURE_LOG_FILE")
)
_CLANG_ELSEWHERE_PREFIXES = ("CCC_", "CC_PRINT_", "CC_LOG_")


def variables_seen(environ: "Mapping[str, str]") -> "list[str]":
    """The variables that clang looks at, as NAME=VALUE, sorted."""
    return sorted(
        f"{name}={environ[name]}"
        for name in environ
        if name in CLANG_NAMES or name.startswith(CLANG_PREFIXES)
    )


def environment_elsewhere(environ: "Mapping[str, str]") -> str:
    """The variables that have clang read or write files that cannot be told, between commas; or ""."""
    found = [name for name in environ if environ[name] and name in _CLANG_ELSEWHERE]
    found += [name for name in environ if name.startswith(_CLANG_ELSEWHERE_PREFIXES)]
    return ", ".join(sorted(found))
