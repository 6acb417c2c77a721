"""`nativecache server`: shows and ends the resident processes that stand in for builds."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import click

from nativecache.cli import server_place
from nativecache.cli.say import say
from nativecache.linker.values import dataclass

#: Seconds to wait for a process that is asked; it answers at once, or is forking.
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Status:
    """What a resident process says of itself. Times are seconds of processor time."""

    process: int
    builds: int
    active: int
    own_seconds: float
    builds_seconds: float


def ask(path: str, kind: bytes) -> str:
    """What the process at a socket answers to a question ("" where it says nothing). Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_PATIENCE)
        connection.connect(path)
        connection.sendall(kind)
        return connection.recv(1000).decode()


def sockets(folder: str) -> Iterator[str]:
    """The sockets in a folder of this user's resident processes."""
    if server_place.is_private(folder):
        for name in sorted(os.listdir(folder)):
            if name.startswith("server-") and "." not in name:
                yield os.path.join(folder, name)


def statuses(folder: str) -> list[Status]:
    """All resident processes that answer."""
    found = []
    for path in sockets(folder):
        try:
            process, builds, active, own, builds_seconds = ask(path, b"U").split()
        except (OSError, ValueError):
            continue  # it was killed, or ends
        found.append(Status(int(process), int(builds), int(active), float(own), float(builds_seconds)))
    return found


@click.group()
def server() -> None:
    """The resident process that makes edits quicker.

    With NATIVECACHE_SERVER=1 a build leaves it behind, and the next ones are done by it. It ends after ten
    idle minutes, and never starts where CI is set.
    """


@server.command()
def status() -> None:
    """Show the resident processes of this user."""
    found = statuses(server_place.folder(os.environ))
    for one in found:
        say(
            f"process {one.process}: {one.builds} builds, {one.active} under way; "
            f"CPU {one.own_seconds:.2f} s, of builds {one.builds_seconds:.2f} s"
        )
    if not found:
        say("no server")


@server.command()
def stop() -> None:
    """End them; builds under way are done to their end."""
    for path in sockets(server_place.folder(os.environ)):
        try:
            ask(path, b"Q")
        except OSError:
            continue  # it ended
