"""Where the resident process of a user is found, and by which name: whoever differs finds another, or none.

A resident process (fork server) forks a child for each build, so the child inherits what the process has:
user, groups, namespaces, control group, limits, capabilities, locale. All of that is in the name of its
socket. What a child can take over from the one who asks (words, variables, open files, folder, umask,
signals) is not.

This module is loaded before anything else, and imports next to nothing.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

#: Raised whenever a message between the two changes.
PROTOCOL = 1

#: Linux's sun_path, with the NUL at its end.
_LONGEST_PATH = 107

_TRUE = ("1", "true", "t", "yes", "y", "on")
_FALSE = ("0", "false", "f", "no", "n", "off")

#: What C's library, the loader and Python take from the environment when a process begins. A locale is the
#: same for all who have the same name; with any of the others nobody stands in for a process of one's own.
LOCALE = ("LC_ALL", "LC_CTYPE", "LANG")
_STARTED_WITH = ("LD_", "MALLOC_", "GLIBC_", "OPENSSL_", "COVERAGE_", "COV_CORE_")
_STARTED_WITH_NAMES = ("LOCPATH", "GCONV_PATH", "NLSPATH")
_PYTHON, _HARMLESS = "PYTHON", "PYTHONDONTWRITEBYTECODE"

#: Limits that count what a process has used or mapped before a build began.
_UNLIMITED = (b"Max cpu time", b"Max address space", b"Max data size")

#: Lines of /proc/self/status: who a process is, what it may do and where it may run.
_STATUS = (
    *(b"Uid:", b"Gid:", b"Groups:", b"CapInh:", b"CapPrm:", b"CapEff:", b"CapBnd:", b"CapAmb:"),
    *(b"NoNewPrivs:", b"Seccomp:", b"Seccomp_filters:", b"Cpus_allowed:", b"Mems_allowed:"),
)


class State:
    """What this process is: `entered` as the command, so that it may start one, or a server's child."""

    entered = False
    is_child = False


def folder(environ: "Mapping[str, str]") -> str:
    """The folder for sockets, whether it is there or not: in the user's own runtime folder, else in /tmp."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime) and is_private(runtime):
        return os.path.join(runtime, "nativecache")
    return f"/tmp/nativecache-{os.getuid()}"


def is_private(path: str) -> bool:
    """Whether a path is a folder, no link to one, that nobody but the user can look into."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return status.st_mode & 0o170777 == 0o040700 and status.st_uid == os.getuid()


def is_asked_for(environ: "Mapping[str, str]") -> bool:
    """Whether builds are to be done by a resident process, and to leave one behind.

    That is for who edits: with a service for continuous integration nothing is to stay behind.
    """
    if environ.get("CI", "").lower() not in ("", *_FALSE):
        return False
    return environ.get("NATIVECACHE_SERVER", "").lower() in _TRUE


def stands_in(environ: "Mapping[str, str]", status: bytes, limits: bytes) -> bool:
    """Whether a resident process can do what this process would.

    `status` and `limits` are Linux's files of this process.
    """
    flags = sys.flags
    plain = not (flags.debug or flags.optimize or flags.verbose or flags.bytes_warning or flags.dev_mode)
    if not plain or flags.inspect or flags.no_user_site > 1 or sys.warnoptions or sys._xoptions:
        return False
    if sys.gettrace() or sys.getprofile() or None in (sys.stdin, sys.stdout, sys.stderr):
        return False
    if getattr(sys.stdout, "write_through", False):  # python -u
        return False
    if os.getuid() != os.geteuid() or os.getgid() != os.getegid():
        return False
    reads_python = not flags.ignore_environment
    for name in environ:
        if name.startswith(_STARTED_WITH) or name in _STARTED_WITH_NAMES:
            return False
        if reads_python and name.startswith(_PYTHON) and name != _HARMLESS:
            return False
    if b"\nTracerPid:\t0\n" not in status:
        return False
    for line in limits.splitlines():
        if line.startswith(_UNLIMITED) and line[26:].split()[:1] != [b"unlimited"]:
            return False
    return True


def read(path: str) -> bytes:
    """One of the system's own small files. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = b""
        while data := os.read(descriptor, 1 << 16):
            found += data
        return found
    finally:
        os.close(descriptor)


def _read_if_there(path: str) -> bytes:
    try:
        return read(path)
    except OSError:
        return b""


def socket_name(environ: "Mapping[str, str]", status: bytes, limits: bytes) -> str:
    """The name in the folder: a digest of all that a child cannot take over. Raises OSError.

    `status` and `limits` as in `stands_in`. 0.6 ms.
    """
    from nativecache.cache.own_code import own_stamps
    from nativecache.cache.sha256 import sha256

    python, root = os.stat(sys.executable), os.stat("/")
    fields = [
        *(str(PROTOCOL), __file__, own_stamps(), sys.version, sys.executable),
        f"{python.st_dev} {python.st_ino} {python.st_mtime_ns} {root.st_dev} {root.st_ino}",
        f"{sys.getfilesystemencoding()} {sys.getfilesystemencodeerrors()} {sys.flags.utf8_mode}",
        *(f"{name}={environ.get(name)}" for name in LOCALE),
        f"{os.getpriority(os.PRIO_PROCESS, 0)} {os.sched_getscheduler(0)}",
        *sorted(f"{name} {os.readlink(f'/proc/self/ns/{name}')}" for name in os.listdir("/proc/self/ns")),
    ]
    digest = sha256("\0".join(fields).encode("utf-8", "surrogateescape"))
    found = [line for line in status.splitlines() if line.startswith(_STATUS)]
    for data in (b"\n".join(found), limits, read("/proc/self/cgroup")):
        digest.update(data + b"\0")
    for name in ("attr/current", "personality", "oom_score_adj"):
        digest.update(_read_if_there(f"/proc/self/{name}") + b"\0")
    return f"server-{digest.hexdigest()[:24]}"


def socket_path(environ: "Mapping[str, str]") -> str:
    """The path of the socket of the process that could stand in for this one; "" if none could."""
    try:
        status, limits = read("/proc/self/status"), read("/proc/self/limits")
        if not stands_in(environ, status, limits):
            return ""
        path = os.path.join(folder(environ), socket_name(environ, status, limits))
    except OSError:
        return ""
    return path if len(os.fsencode(path)) <= _LONGEST_PATH else ""
