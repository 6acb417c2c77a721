"""What the kind of an output says of its symbols."""

from nativecache.aot.request import EMIT_KINDS
from nativecache.aot.units.output_model import EXECUTABLE, OutputModel


def test_objects_and_archives_are_linked_again() -> None:
    assert {kind for kind in EMIT_KINDS if not OutputModel(kind).is_image} == {"object", "archive"}


def test_only_an_archive_keeps_modules_apart() -> None:
    assert {kind for kind in EMIT_KINDS if OutputModel(kind).separate} == {"archive"}


def test_an_executable_is_what_nothing_replaces() -> None:
    assert OutputModel("exe") == EXECUTABLE and not EXECUTABLE.interposable
