"""The resident process: when it ends, and that there is one."""

import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nativecache.cache.own_code import own_stamps
from nativecache.cli import server
from nativecache.cli.server import IDLE, Server, listen, stamp

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


@pytest.fixture
def path() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="nc-")
    yield f"{folder}/server-0"
    shutil.rmtree(folder)


@pytest.fixture
def one(path: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(server, "_code", own_stamps())
    listener = listen(path)
    assert listener
    found = Server(path, listener)
    found.inode = os.lstat(path).st_ino
    yield found
    listener.close()


def test_one_listens_at_a_path(path: str) -> None:
    first = listen(path)
    assert first and listen(path) is None
    first.close()
    second = listen(path)  # nobody listens any more, though the socket is there
    assert second
    second.close()
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]


def test_none_listens_where_others_can_look(path: str) -> None:
    os.chmod(os.path.dirname(path), 0o755)
    assert listen(path) is None and not os.path.exists(path)


def test_it_stays_while_it_is_asked(one: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert one._is_worth_it()
    one.last = time.monotonic() - IDLE - 1
    assert not one._is_worth_it()
    one.children[1] = -1
    assert one._is_worth_it()


def test_it_ends_where_memory_is_short_or_code_changed(one: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(server, "_memory_left", lambda: 1 << 20)
        assert not one._is_worth_it()
    assert server._memory_left() > 1 << 20 and one._is_worth_it()
    monkeypatch.setattr(server, "_code", "other")
    assert not one._is_worth_it()


def test_it_takes_no_build_once_a_library_is_another(one: Server, tmp_path: Path) -> None:
    library = tmp_path / "libLLVM.so"
    library.write_text("1")
    one.stamps[str(library)] = stamp(str(library))
    assert one._is_current()
    library.write_text("12")
    assert not one._is_current()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not one._build(ours)
    assert one.ending and not os.path.exists(one.path) and not one.children


def test_a_socket_of_another_at_its_path_is_left_there(one: Server) -> None:
    os.rename(one.path, f"{one.path}.old")
    Path(one.path).touch()
    assert not one._is_current()
    one._end()
    assert os.path.exists(one.path)
