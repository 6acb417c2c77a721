"""Hidden symbols made local, checked with readelf and by linking and running."""

import shutil
import subprocess
from pathlib import Path

import pytest
from elf_symbols import symbols
from native_objects import (
    HIDDEN,
    LINKERS,
    compile_c,
    each_linker,
    needs_gcc,
    partial_link,
    read_names,
    run,
)

from nativecache.linker.localizing import localize

pytestmark = needs_gcc


@each_linker
def test_localized_symbols_clash_with_nothing(tmp_path: Path, ld: str) -> None:
    one = f"{HIDDEN} int count = 40; {HIDDEN} int step(int x) {{ return x + 1; }} int *keep = &count;"
    two = f"extern {HIDDEN} int count; {HIDDEN} int step(int); int run(void) {{ return step(step(count)); }}"
    whole = partial_link(
        ld,
        tmp_path,
        compile_c(tmp_path, one, "-fPIC", name="one"),
        compile_c(tmp_path, two, "-fPIC", name="two"),
    )
    whole.write_bytes(localize(whole.read_bytes(), {"count", "step"}))
    names = read_names(whole)
    assert names["count"].startswith("LOCAL") and names["step"].startswith("LOCAL")
    assert names["run"].startswith("GLOBAL") and names["keep"].startswith("GLOBAL")
    main = compile_c(
        tmp_path,
        "int run(void); int step(int x) { return 0; } int count; int main(void) { return run(); }",
        name="m",
    )
    run("gcc", main, whole, "-o", tmp_path / "app")
    assert subprocess.run([tmp_path / "app"]).returncode == 42


@each_linker
def test_only_the_named_hidden_symbols_become_local(tmp_path: Path, ld: str) -> None:
    source = f"{HIDDEN} int mine = 1; {HIDDEN} int theirs = 2; int shown = 3;"
    whole = partial_link(ld, tmp_path, compile_c(tmp_path, source))
    whole.write_bytes(localize(whole.read_bytes(), {"mine", "shown"}))
    names = read_names(whole)
    assert names["mine"].startswith("LOCAL") and names["theirs"].startswith("GLOBAL HIDDEN")
    assert names["shown"].startswith("GLOBAL DEFAULT")


@pytest.mark.parametrize("ld", [LINKERS["lld"], LINKERS["bfd"]])  # mold -r makes hidden thread-locals visible
def test_thread_local_symbols_become_local_and_still_work(tmp_path: Path, ld: str | None) -> None:
    if ld is None:
        pytest.skip("linker is missing")
    source = (
        f"{HIDDEN} __thread int pad = 1; {HIDDEN} __thread int t = 41; int run(void) {{ return t + pad; }}"
    )
    whole = partial_link(ld, tmp_path, compile_c(tmp_path, source, "-fPIC"))
    whole.write_bytes(localize(whole.read_bytes(), {"t", "pad"}))
    assert read_names(whole)["t"].startswith("LOCAL")
    main = compile_c(tmp_path, "int run(void); int main(void) { return run(); }", name="main")
    run("gcc", main, whole, "-o", tmp_path / "app")
    assert subprocess.run([tmp_path / "app"]).returncode == 42


@each_linker
@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is missing")
def test_comdat_members_stay_global_and_are_still_folded(tmp_path: Path, ld: str) -> None:
    shared = (
        f"template <class T> struct {HIDDEN} Box {{ static T get() {{ static T n = 20; return ++n; }} }};"
    )
    one = f"{shared} {HIDDEN} int helper() {{ return Box<int>::get(); }} int one() {{ return helper(); }}"
    two = f"{shared} int one(); int main() {{ return one() + Box<int>::get() - 1; }}"
    whole = partial_link(ld, tmp_path, compile_c(tmp_path, one, "-O0", name="one", compiler="g++"))
    promoted = {s.name for s in symbols(whole.read_bytes())}
    whole.write_bytes(localize(whole.read_bytes(), promoted))
    names = read_names(whole)
    assert names["_Z6helperv"].startswith("LOCAL") and names["_ZN3BoxIiE3getEv"].startswith("WEAK")
    run("g++", compile_c(tmp_path, two, "-O0", name="two", compiler="g++"), whole, "-o", tmp_path / "app")
    assert subprocess.run([tmp_path / "app"]).returncode == 42


@each_linker
@pytest.mark.skipif(shutil.which("clang-22") is None, reason="clang-22 is missing")
def test_the_address_significance_table_is_dropped(tmp_path: Path, ld: str) -> None:
    source = f"{HIDDEN} int a(void) {{ return 1; }} int (*b)(void) = a; int main(void) {{ return b() + 41; }}"
    unit = compile_c(tmp_path, source, "-faddrsig", compiler="clang-22")
    unit.write_bytes(localize(unit.read_bytes(), {"a"}))
    assert "ADDRSIG" not in run("readelf", "-SW", unit) and read_names(unit)["a"].startswith("LOCAL")
    run("gcc", partial_link(ld, tmp_path, unit), "-o", tmp_path / "app")
    assert subprocess.run([tmp_path / "app"]).returncode == 42
