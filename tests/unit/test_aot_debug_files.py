"""File nodes with placeholders."""

from debug_text import HEAD, STRUCT, function, normalised

from nativecache.aot.debug.files import compilation_directory, read_files
from nativecache.aot.debug.nodes import read_nodes
from nativecache.linker.lines import DIRECTORY_PLACEHOLDER


def test_folder_and_checksums_are_placeholders() -> None:
    files = [
        body
        for sum_ in ("0123456789abcdef", "fedcba9876543210")
        for made in [normalised(function(30, "f", 10), head=HEAD.replace("0123456789abcdef", sum_))]
        for body in map(made.metadata.__getitem__, made.metadata)
        if body.startswith("!DIFile(")
    ]
    assert len(files) == 2
    assert files[0] == files[1]
    assert DIRECTORY_PLACEHOLDER in files[0]
    assert "0123456789abcdef" not in files[0]


def test_names_of_one_file_have_one_placeholder() -> None:
    again = '!90 = !DIFile(filename: "/home/me/a.c", directory: "", checksumkind: CSK_MD5, checksum: "SUM")\n'
    again = again.replace("SUM", "0123456789abcdef" * 2)
    code, nodes = function(30, "f", 10)
    made = normalised(
        (code, nodes.replace("file: !1, line: 11", "file: !90, line: 11")), types=STRUCT + again
    )
    assert made.debug is not None
    assert len(made.debug.checksums) == 1


def test_older_dwarf_keeps_folder_and_checksums() -> None:
    made = normalised(function(30, "f", 10), head=HEAD.replace("i32 5}", "i32 4}"))
    assert made.debug is not None
    assert not made.debug.checksums
    assert any('"/home/me"' in body for body in map(made.metadata.__getitem__, made.metadata))


def test_compilation_directory() -> None:
    assert compilation_directory(HEAD) == "/home/me"
    assert compilation_directory("!0 = !{}\n") == ""


def test_files_stay_as_they_are_unless_placeholders_are_wanted() -> None:
    nodes = read_nodes(HEAD, relative=True)
    kept = read_files(nodes, placeholders=False, directory="/home/me")
    assert kept.bodies == {"!1": nodes.bodies["!1"]} and not kept.checksums


def test_files_of_another_folder_and_too_long_a_folder_keep_it() -> None:
    nodes = read_nodes(HEAD, relative=True)
    other = read_files(nodes, placeholders=True, directory="/home/you")
    assert '"/home/me"' in other.bodies["!1"] and len(other.checksums) == 1
    folder = "/long" * 26
    nodes = read_nodes(HEAD.replace("/home/me", folder), relative=True)
    assert folder in read_files(nodes, placeholders=True, directory=folder).bodies["!1"]


def test_a_checksum_comes_back_from_its_placeholder() -> None:
    nodes = read_nodes(HEAD, relative=True)
    made = read_files(nodes, placeholders=True, directory="/home/me")
    ((placeholder, real),) = made.checksums.items()
    assert placeholder.hex() in made.bodies["!1"] and real.hex() == "0123456789abcdef" * 2
