"""Images linked with each driver and linker, by one that is found on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nativecache.linker.archive import write_archive
from nativecache.linker.choice import Linker, LinkerName, find_linker
from nativecache.linker.driver import Driver, find_driver
from nativecache.linker.errors import LinkError
from nativecache.linker.link import LinkJob, Whole, _soname_flags, link_image

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is missing")
DRIVERS = ["gcc", "clang-22"]
LINKERS = ["mold", "lld", "gold", "bfd"]
SIGNS = {"mold": "mold ", "lld": "LLD "}
each_linker = pytest.mark.parametrize("linker", LINKERS)
each_driver = pytest.mark.parametrize("driver", DRIVERS)


def object_of(folder: Path, source: str) -> bytes:
    folder.mkdir(exist_ok=True)
    (folder / "unit.c").write_text(source)
    subprocess.run(["gcc", "-O1", "-c", "-fPIC", "unit.c"], cwd=folder, check=True)
    return (folder / "unit.o").read_bytes()


def archive_of(folder: Path, *sources: str) -> bytes:
    objects = [object_of(folder, source) for source in sources]
    return write_archive(((f"m{i}.o", obj) for i, obj in enumerate(objects)), symbol_index=False)


def driver_called(name: str, *, cplusplus: bool = False) -> Driver:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is missing")
    return find_driver(name, cplusplus=cplusplus, environ=os.environ)


def linker_called(name: str) -> Linker:
    try:
        found = find_linker(name, os.environ)
    except LinkError as error:
        pytest.skip(str(error))
    assert found is not None
    return found


def link(
    folder: Path,
    archive: bytes | Path,
    driver: str = "gcc",
    linker: str | None = None,
    *,
    before: tuple[str, ...] = (),
    after: tuple[str, ...] = (),
    **options: Any,
) -> Path:
    output = options.pop("output", folder / "app")
    job = LinkJob(
        output=output,
        kind=options.pop("kind", "exe"),
        items=(*before, Whole(archive), *after),
        driver=driver_called(driver),
        linker=linker_called(linker) if linker else None,
        **options,
    )
    link_image(job, os.environ)
    assert isinstance(output, Path)
    return output


def status_of(program: Path) -> int:
    return subprocess.run([program]).returncode


MAIN = "int f(void); int main(void) { return f(); }"
F = "int f(void) { return 42; }"


@each_driver
@each_linker
def test_the_linker_asked_for_makes_the_program(tmp_path: Path, driver: str, linker: str) -> None:
    app = link(tmp_path, archive_of(tmp_path / "src", MAIN, F), driver, linker)
    assert status_of(app) == 42
    image = app.read_bytes()
    assert {name for name, sign in SIGNS.items() if sign.encode() in image} == {linker} & SIGNS.keys()


@each_linker
def test_an_archive_in_a_file_is_as_good(tmp_path: Path, linker: str) -> None:
    archive = archive_of(tmp_path / "src", MAIN, F)
    (tmp_path / "kept.a").write_bytes(archive)
    images = [link(tmp_path, given, linker=linker).read_bytes() for given in (archive, tmp_path / "kept.a")]
    assert images[0] == images[1] and (tmp_path / "kept.a").read_bytes() == archive


def test_what_the_linker_read_names_no_archive_of_ours(tmp_path: Path) -> None:
    (tmp_path / "kept.a").write_bytes(archive_of(tmp_path / "src", MAIN, F))
    items = (Whole(tmp_path / "kept.a"),)
    job = LinkJob(output=tmp_path / "app", kind="exe", items=items, driver=driver_called("gcc"))
    reads = link_image(job, os.environ).reads
    assert reads and not any("ours." in name or "kept.a" in name for name in reads)


@each_driver
@each_linker
@pytest.mark.parametrize("kind", ["exe", "shared", "object"])
def test_the_image_does_not_depend_on_the_folder(tmp_path: Path, driver: str, linker: str, kind: str) -> None:
    archive = archive_of(tmp_path / "src", MAIN, F, "static int s; int *g(void) { return &s; }")
    (tmp_path / "v.map").write_text("V1 { *; };")
    options = (f"-Wl,--version-script={tmp_path / 'v.map'}",) if kind == "shared" else ()
    images = []
    for name in ("here", "somewhere_else"):
        (tmp_path / name).mkdir()
        output = tmp_path / name / "image"
        images.append(
            link(tmp_path, archive, driver, linker, kind=kind, output=output, after=options).read_bytes()
        )
    assert images[0] == images[1]
    assert os.fsencode(tmp_path) not in images[0] and b"ours." not in images[0]


@each_linker
def test_an_object_can_be_linked_further(tmp_path: Path, linker: str) -> None:
    obj = link(
        tmp_path, archive_of(tmp_path / "src", MAIN, F), linker=linker, kind="object", gc_sections=True
    )
    assert (
        status_of(
            link(tmp_path, write_archive([], symbol_index=True), before=(str(obj),), output=tmp_path / "x")
        )
        == 42
    )


def test_native_inputs_come_before_and_after(tmp_path: Path) -> None:
    object_of(tmp_path / "main", MAIN)
    (tmp_path / "lib.a").write_bytes(
        write_archive([("f.o", object_of(tmp_path / "f", F))], symbol_index=True)
    )
    archive = archive_of(tmp_path / "src", "int ours;")
    app = link(tmp_path, archive, before=(f"{tmp_path}/main/unit.o",), after=(f"{tmp_path}/lib.a",))
    assert status_of(app) == 42


@each_linker
def test_unused_sections_go_when_asked(tmp_path: Path, linker: str) -> None:
    unused = '__attribute__((section(".text.unused"))) int unused_function(void) { return 1; }'
    archive = archive_of(tmp_path / "src", MAIN, F, unused)
    assert b"unused_function" in link(tmp_path, archive, linker=linker).read_bytes()
    assert b"unused_function" not in link(tmp_path, archive, linker=linker, gc_sections=True).read_bytes()


@pytest.mark.parametrize(("option", "elf_type"), [("-no-pie", 2), ("-pie", 3)])
def test_position_independence_can_be_chosen(tmp_path: Path, option: str, elf_type: int) -> None:
    app = link(tmp_path, archive_of(tmp_path / "src", MAIN, F), before=(option,))
    assert app.read_bytes()[16] == elf_type


def test_the_mode_is_the_linkers(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        app = link(tmp_path, archive_of(tmp_path / "src", MAIN, F))
    finally:
        os.umask(old)
    assert stat.S_IMODE(app.stat().st_mode) == 0o750


BROKEN = (
    "int far(void); int far2(void); int main(void) { return far() + far() + far2(); }",
    "int far(void); int other(void) { return far(); }",
)


@each_driver
@each_linker
def test_undefined_symbols_are_listed_once(tmp_path: Path, driver: str, linker: str) -> None:
    with pytest.raises(LinkError) as caught:
        link(tmp_path, archive_of(tmp_path / "src", *BROKEN), driver, linker)
    lines = sorted(str(caught.value).splitlines())
    assert lines == [
        "undefined symbol: far (referenced by main, other)",
        "undefined symbol: far2 (referenced by main)",
    ]


@each_linker
def test_duplicate_symbols_name_the_members(tmp_path: Path, linker: str) -> None:
    with pytest.raises(LinkError, match=r"m2\.o") as caught:
        link(tmp_path, archive_of(tmp_path / "src", MAIN, F, F), linker=linker)
    assert str(tmp_path) not in str(caught.value)


def test_a_long_list_of_problems_is_cut(tmp_path: Path) -> None:
    calls = "+".join(f"u{i}()" for i in range(50))
    source = "".join(f"int u{i}(void);" for i in range(50)) + f"int main(void) {{ return {calls}; }}"
    archive = archive_of(tmp_path / "src", source)
    for linker in LINKERS:
        with pytest.raises(LinkError, match=r"and 30 more$") as caught:
            link(tmp_path, archive, linker=linker)
        assert len(str(caught.value).splitlines()) == 21


def test_a_failed_link_leaves_the_old_output_and_nothing_else(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "src", *BROKEN)
    (tmp_path / "app").write_text("old")
    with pytest.raises(LinkError):
        link(tmp_path, archive)
    assert (tmp_path / "app").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["app", "src"]


def test_a_good_link_leaves_only_the_output(tmp_path: Path) -> None:
    link(tmp_path, archive_of(tmp_path / "src", MAIN, F), linker="bfd")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["app", "src"]


def test_a_folder_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="it is a directory"):
        link(tmp_path, b"", output=tmp_path)


def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    null = tmp_path / "null"
    null.symlink_to("/dev/null")
    link(tmp_path, archive_of(tmp_path / "src", MAIN, F), linker="bfd", output=null)
    assert null.is_symlink() and null.is_char_device()
    with pytest.raises(LinkError, match="undefined symbol: f "):
        link(tmp_path, archive_of(tmp_path / "src", MAIN), linker="bfd", output=null)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["null", "src"]


def test_a_missing_output_folder_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match=r"cannot write .*nowhere.*: No such file or directory"):
        link(tmp_path, b"", output=tmp_path / "nowhere" / "app")


def test_ctrl_c_ends_the_linker_and_removes_its_files(tmp_path: Path) -> None:
    fake = tmp_path / "slow-gcc"
    fake.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {tmp_path}/pid\nwait\n")
    fake.chmod(0o755)
    script = (
        "import os, sys; from pathlib import Path\n"
        "from nativecache.linker.driver import find_driver\n"
        "from nativecache.linker.link import LinkJob, link_image\n"
        "driver = find_driver(sys.argv[1], cplusplus=False, environ=os.environ)\n"
        "job = LinkJob(output=Path(sys.argv[2]), kind='exe', items=(), driver=driver)\n"
        "link_image(job, os.environ)\n"
    )
    (tmp_path / "out").mkdir()
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, str(fake), str(tmp_path / "out" / "app")]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE) as parent:
        pid = wait_for(tmp_path / "pid")
        parent.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in parent.communicate(timeout=20)[1]
    assert list((tmp_path / "out").iterdir()) == []
    assert not is_running(pid)


def wait_for(file: Path) -> int:
    for _ in range(1000):
        if file.exists() and file.read_text().strip():
            return int(file.read_text())
        time.sleep(0.01)
    raise AssertionError("the child did not start")


def is_running(pid: int) -> bool:
    for _ in range(1000):  # a machine with much else to do takes its time to bury the dead
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state == "Z":
            return False
        time.sleep(0.01)
    return True


@each_driver
def test_a_linker_at_a_path_is_used(tmp_path: Path, driver: str) -> None:
    lld = linker_called("lld")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ld.lld").symlink_to(lld.path)
    app = link(tmp_path, archive_of(tmp_path / "src", MAIN, F), driver, str(tmp_path / "bin" / "ld.lld"))
    assert b"LLD " in app.read_bytes()


@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is missing")
def test_a_cplusplus_program_gets_its_library(tmp_path: Path) -> None:
    source = "int main() { return std::string(42, 'x').append(1, 'y').find('y'); }"
    (tmp_path / "a.cc").write_text("#include <string>\n" + source)
    subprocess.run(["g++", "-c", "-fPIC", tmp_path / "a.cc", "-o", tmp_path / "a.o"], check=True)
    archive = write_archive([("a.o", (tmp_path / "a.o").read_bytes())], symbol_index=False)
    driver = driver_called("gcc", cplusplus=True)
    job = LinkJob(output=tmp_path / "app", kind="exe", items=(Whole(archive),), driver=driver)
    link_image(job, os.environ)
    assert status_of(tmp_path / "app") == 42


@pytest.mark.parametrize(("linker", "named"), [("bfd", False), ("lld", True), ("mold", True)])
def test_no_soname_is_added_for_gnu_ld(tmp_path: Path, linker: LinkerName, named: bool) -> None:
    """A compiler's image has none, and a library that was renamed would not be found by it."""
    job = LinkJob(
        output=tmp_path / "l.so",
        kind="shared",
        items=("-Wl,--version-script=f",),
        driver=Driver(("cc",), "gcc"),
        linker=Linker("/ld", linker),
    )
    assert bool(_soname_flags(job)) == named
