"""Who may be stood in for, by whom, and where that one is found."""

import os
import sys
from pathlib import Path

import pytest

from nativecache.cli import server_place

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

PLAIN = {"PATH": "/usr/bin", "HOME": "/home/u", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def status() -> bytes:
    return server_place.read("/proc/self/status")


@pytest.fixture
def limits() -> bytes:
    """This process's, with those unlimited that have to be."""
    lines = server_place.read("/proc/self/limits").splitlines()
    return b"\n".join(
        line[:26] + b"unlimited            unlimited            bytes" if line.startswith(b"Max") else line
        for line in lines
    )


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a command has it, not as pytest does."""
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, getattr(sys, f"__{name}__"))
    monkeypatch.setattr(sys, "warnoptions", [])
    monkeypatch.setattr(sys, "_xoptions", {})


def test_a_plain_command_is_stood_in_for(
    status: bytes, limits: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", open(os.devnull, "w"))  # noqa: SIM115
    assert server_place.stands_in(PLAIN, status, limits)


@pytest.mark.parametrize(
    "name",
    ["LD_PRELOAD", "LD_LIBRARY_PATH", "MALLOC_PERTURB_", "GLIBC_TUNABLES", "PYTHONHASHSEED", "LOCPATH"],
)
def test_what_a_process_starts_with_is_not_for_another(name: str, status: bytes, limits: bytes) -> None:
    assert not server_place.stands_in({**PLAIN, name: "1"}, status, limits)


@pytest.mark.parametrize("limit", [b"Max cpu time", b"Max address space", b"Max data size"])
def test_limits_on_what_a_process_has_used_before(limit: bytes, status: bytes, limits: bytes) -> None:
    lines = [
        limit.ljust(26) + b"1000 1000 bytes" if line.startswith(limit) else line
        for line in limits.splitlines()
    ]
    assert not server_place.stands_in(PLAIN, status, b"\n".join(lines))


def test_a_process_that_is_traced_or_has_a_closed_stream(
    status: bytes, limits: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not server_place.stands_in(PLAIN, status.replace(b"TracerPid:\t0\n", b"TracerPid:\t1\n"), limits)
    monkeypatch.setattr(sys, "stdin", None)
    assert not server_place.stands_in(PLAIN, status, limits)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"CapEff:\t", b"CapEff:\t1"), (b"NoNewPrivs:\t", b"NoNewPrivs:\t1"), (b"Groups:\t", b"Groups:\t7 ")],
)
def test_who_may_do_something_else_has_another(old: bytes, new: bytes, status: bytes, limits: bytes) -> None:
    assert old in status
    name = server_place.socket_name(PLAIN, status, limits)
    assert name == server_place.socket_name(PLAIN, status, limits)
    assert name != server_place.socket_name(PLAIN, status.replace(old, new), limits)


def test_the_locale_and_limits_are_in_the_name_and_other_variables_are_not(
    status: bytes, limits: bytes
) -> None:
    name = server_place.socket_name(PLAIN, status, limits)
    assert name != server_place.socket_name({**PLAIN, "LC_ALL": "C"}, status, limits)
    assert name != server_place.socket_name(PLAIN, status, limits + b"\n")
    assert name == server_place.socket_name(
        {**PLAIN, "PATH": "/bin", "NATIVECACHE_DIR": "/x"}, status, limits
    )


def test_a_runtime_folder_is_the_users_own_or_left_alone(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    fallback = f"/tmp/nativecache-{os.getuid()}"
    assert server_place.folder({"XDG_RUNTIME_DIR": str(private)}) == f"{private}/nativecache"
    assert server_place.folder({}) == server_place.folder({"XDG_RUNTIME_DIR": "run"}) == fallback
    (tmp_path / "link").symlink_to(private)
    assert server_place.folder({"XDG_RUNTIME_DIR": str(tmp_path / "link")}) == fallback
    private.chmod(0o750)
    assert server_place.folder({"XDG_RUNTIME_DIR": str(private)}) == fallback


def test_a_path_that_no_socket_can_have_is_none(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir(mode=0o700)
    assert server_place.socket_path({"XDG_RUNTIME_DIR": str(deep)}) == ""


@pytest.mark.parametrize(
    ("value", "said"), [("1", True), ("ON", True), ("no", False), ("0", False), ("", False), ("2", False)]
)
def test_what_the_variable_says(value: str, said: bool) -> None:
    assert server_place.is_asked_for({"NATIVECACHE_SERVER": value}) is said
    assert not server_place.is_asked_for({})


@pytest.mark.parametrize(
    ("value", "said"), [("true", False), ("1", False), ("woodpecker", False), ("false", True), ("", True)]
)
def test_none_is_for_services_for_integration(value: str, said: bool) -> None:
    assert server_place.is_asked_for({"CI": value, "NATIVECACHE_SERVER": "1"}) is said
