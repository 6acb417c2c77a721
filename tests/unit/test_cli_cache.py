"""The `nativecache cache` commands: what they say, what they leave, and how they end."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from harness import BuildResult, build, clean_environment
from rules import write
from stores import FILES, SQLITE, Kind

from nativecache.cache.folder import Row, find_entries
from nativecache.cache.found import Found
from nativecache.cache.layout import entry_path
from nativecache.cli.main import main

IR = """\
define i32 @f() {
  ret i32 1
}
define i32 @g(i32 %x) {
  %y = mul i32 %x, 3
  ret i32 %y
}
"""
WORDS = ("f.ll", "--emit", "object", "-o", "f.o")


@dataclass
class Space:
    folder: Path
    capture: pytest.CaptureFixture[str]
    kind: Kind

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def build(self, *words: str, **environment: str) -> BuildResult:
        environment.setdefault("STORE", self.kind.name)
        names = {f"NATIVECACHE_{name}": value for name, value in environment.items()}
        return build(self.folder, *WORDS, *words, env=names)

    def run(self, *words: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["cache", *words])
        said = self.capture.readouterr()
        self.errors = said.err
        assert (ended.value.code or 0) == code, said
        return said.out

    def ask(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.run(*words, "--json", code=code))

    def total(self) -> Any:
        return self.ask("stats")["total"]

    def entries(self) -> list[Path]:
        return sorted(Path(found.path) for found in find_entries(self.cache))

    def set_used(self, time: float) -> None:
        for found in list(find_entries(self.cache)):
            self._kind(found).set_used(self.cache, found.key, time)

    def damage(self, count: int = 1000) -> None:
        """Damages some entries."""
        for found in list(find_entries(self.cache))[:count]:
            self._kind(found).overwrite(self.cache, found.key, b"?")

    def _kind(self, found: Found) -> Kind:
        return SQLITE if isinstance(found, Row) else FILES


@pytest.fixture
def both(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Space:
    """A space for each kind of store."""
    return make_space(kind, tmp_path, monkeypatch, capsys)


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Space:
    return make_space(FILES, tmp_path, monkeypatch, capsys)


def make_space(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Space:
    for name in [name for name in os.environ if name.startswith("NATIVECACHE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NATIVECACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"f.ll": IR})
    return Space(tmp_path, capsys, kind)


# path, info


def test_path(space: Space) -> None:
    assert space.run("path") == f"{space.cache}\n"
    assert space.ask("path", "--cache-dir", "here") == {"folder": str(space.folder / "here")}
    assert not space.cache.exists()


def test_info(both: Space) -> None:
    assert both.ask("info")["entries"] == 0
    both.build()
    found = both.ask("info")
    assert found["folder"] == str(both.cache)
    assert found["entries"] == len(both.entries())
    assert found["size"] == sum(entry.size for entry in find_entries(both.cache))
    assert bool(found["database"]) == (both.kind is SQLITE) == ("database" in both.run("info"))
    assert (found["max_size"], found["max_age_seconds"], found["max_files"]) == (5 * 2**30, 30 * 86400, 10**6)
    assert found["free"] > 0 and found["temporaries"] == found["quarantined"] == 0
    assert "5.0 GB" in both.run("info") and "30 days" in both.run("info")


def test_info_by_kind(both: Space) -> None:
    assert "kinds" not in both.ask("info") and both.ask("info", "--kinds")["kinds"] == {}
    both.build()
    found = both.ask("info", "--kinds")
    kinds = found["kinds"]
    assert kinds["object"]["entries"] == 2 and {"memo", "record", "other"} <= kinds.keys()
    assert sum(kind["entries"] for kind in kinds.values()) == found["entries"]
    assert sum(kind["size"] for kind in kinds.values()) == found["size"]
    assert "object      2 entries, " in both.run("info", "--kinds")


# stats, zero


@pytest.mark.slow
def test_stats_add_up(space: Space) -> None:
    cold = space.build()
    space.build("-v")
    write(space.folder, {"f.ll": IR.replace("%x, 3", "%x, 5")})
    edited = space.build()
    found = space.total()
    assert (found["builds"], found["hits"], found["misses"]) == (3, 0 + 2 + 1, cold.misses + edited.misses)
    assert {reason: number for reason, number in found["missed"].items() if number} == {
        "new": 2,
        "changed": 1,
    }
    assert found["bytes_written"] > found["bytes_read"] > 0
    assert found["saved_seconds"] > 0 and found["compiled_seconds"] > 0
    assert list(space.ask("stats")["days"]) == [time.strftime("%Y-%m-%d", time.gmtime())]
    said = space.run("stats")
    assert "hits        3 of 6 (50.0 %)" in said and "misses      1 their code has changed" in said


def test_builds_with_nothing_to_do_count(space: Space) -> None:
    for _ in range(3):
        time.sleep(0.03)
        space.build()
    assert (space.total()["builds"], space.total()["up_to_date"]) == (1, 2)


def test_builds_that_fail_count(space: Space) -> None:
    space.build()
    write(space.folder, {"bad.ll": "nonsense"})
    assert build(space.folder, "bad.ll", "-o", "bad", check=False).exit_code == 1
    assert (space.total()["builds"], space.total()["failed"]) == (1, 1)


@pytest.mark.slow
def test_reasons(space: Space) -> None:
    space.build()
    assert space.build("-O1").stats["missed"] == {"options": 2}
    assert space.build("--llvm", "llvmlite", "-v").stats["missed"] in ({"llvm": 2}, {})
    space.damage()
    assert space.build("-v").stats["missed"] == {"corrupt": 2}
    space.run("prune", "--max-files", "1")
    assert space.build("-v").stats["missed"] == {"pruned": 2}
    assert space.build("--cache-mode=refresh").misses == 2
    found = space.total()["missed"]
    assert (found["pruned"], found["corrupt"], found["refreshed"], found["options"]) == (2, 2, 2, 2)


@pytest.mark.slow
def test_builds_at_the_same_time_are_all_counted(both: Space) -> None:
    command = [sys.executable, "-m", "nativecache.cli.start", "build", "--stats-json"]
    environment = clean_environment() | {
        "NATIVECACHE_DIR": str(both.cache),
        "NATIVECACHE_STORE": both.kind.name,
    }
    builds = [
        subprocess.Popen(
            [*command, f"{n}.json", "f.ll", "--emit", "object", "-q", "-o", f"{n}.o"], env=environment
        )
        for n in range(6)
    ]
    assert [one.wait() for one in builds] == [0] * 6
    figures = [json.loads(Path(f"{n}.json").read_text()) for n in range(6)]
    total = both.total()
    assert total["builds"] == 6
    for name in ("hits", "misses", "corrupt"):
        assert total[name] == sum(one[name] for one in figures)
    assert total["saved_seconds"] == pytest.approx(sum(one["saved_seconds"] for one in figures), abs=1e-5)


def test_zero(space: Space) -> None:
    space.build()
    assert space.run("zero") == "statistics are zero\n"
    assert space.total()["builds"] == 0
    assert space.entries()


def test_a_damaged_record_is_a_note(space: Space) -> None:
    space.build()
    (log,) = (space.cache / "v1" / "statistics").glob("*.log")
    log.write_bytes(log.read_bytes() + b"\nhits=7 12345678\n")
    assert space.ask("stats")["damaged_records"] == 1
    assert space.errors == "nativecache: warning: 1 damaged records of statistics left out\n"


# prune


def test_prune(both: Space) -> None:
    both.build()
    count = len(both.entries())
    assert both.ask("prune")["entries"] == 0
    assert both.ask("prune", "--max-files", "2")["entries_left"] == 1
    assert "0 entries pruned" in both.run("prune", "--max-size", "4K")
    assert both.total()["pruned"] == count - 1
    both.set_used(1)
    assert both.ask("prune", "--max-age", "7d")["entries_left"] == 0
    assert both.build("-v").misses == 2


def test_limits_in_files_and_the_environment(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    space.build()
    (space.folder / ".config" / "nativecache").mkdir(parents=True)
    (space.folder / ".config" / "nativecache" / "config.toml").write_text('max-size = "1M"\nmax-age = "1d"\n')
    (space.cache / "config.toml").write_text('max-size = "2M"\nmax-files = 10\n')
    monkeypatch.setenv("NATIVECACHE_MAX_FILES", "20")
    found = space.ask("info", "--max-age", "2d")
    assert (found["max_size"], found["max_age_seconds"], found["max_files"]) == (2 * 2**20, 2 * 86400, 20)


@pytest.mark.parametrize("words", [("--max-size", "much"), ("--max-age", "7"), ("--max-files", "-1")])
def test_a_wrong_limit_is_usage(space: Space, words: tuple[str, str]) -> None:
    space.run("prune", *words, code=2)
    assert f"{words[0][2:]}: '{words[1]}' is not" in space.errors


@pytest.mark.slow
def test_a_build_has_others_prune_once_per_hour(space: Space) -> None:
    space.build()
    stamp = space.cache / "v1" / "prune.stamp"
    for age in (600, 4000):
        for path in space.entries():
            os.utime(path, (1, 1))
        os.utime(stamp, (time.time() - age, time.time() - age))
        space.build("-v", "--no-opt")
        for _ in range(100):
            if space.total()["pruned"]:
                break
            time.sleep(0.05 if age > 3600 else 0.005)
        assert bool(space.total()["pruned"]) == (age > 3600)
    assert time.time() - stamp.stat().st_mtime < 60


# clear


def test_clear(both: Space) -> None:
    both.build()
    (both.cache / "mine").write_text("mine")
    count = len(both.entries())
    assert both.ask("clear")["files"] == (
        count if both.kind is FILES else 2
    )  # an up-to-date record, and all the rest
    assert (both.cache / "mine").exists() and (both.cache / "CACHEDIR.TAG").exists()
    assert (both.ask("info")["entries"], both.total()["builds"]) == (0, 1)
    assert both.ask("clear") == {"files": 0, "size": 0}
    assert both.build("-v").misses == 2


def test_a_folder_that_is_not_marked_is_not_cleared(space: Space) -> None:
    space.build()
    (space.cache / "CACHEDIR.TAG").unlink()
    space.run("clear", code=1)
    assert "is not marked" in space.errors and space.entries()


# verify


def test_verify(space: Space) -> None:
    space.build()
    count = len(space.entries())
    assert space.run("verify") == f"{count} entries checked, 0 bad\n"
    bad, other = space.entries()[:2]
    bad.write_bytes(bad.read_bytes()[:-1])
    found = space.ask("verify", code=4)
    assert (found["checked"], [one["path"] for one in found["bad"]]) == (count, [str(bad)])
    assert not bad.exists()
    other.write_bytes(b"?")
    said = space.run("verify", "--keep", code=4)
    kept = space.cache / "v1" / "quarantine" / f"{other.parent.name}{other.stem}.short.o"
    assert f"{other}: short; it is now {kept}" in said and kept.read_bytes() == b"?"
    assert space.ask("info")["quarantined"] == 1
    assert space.run("verify") == f"{count - 2} entries checked, 0 bad\n"


def test_verify_a_database(space: Space) -> None:
    space.build(STORE="sqlite")
    count = len(space.entries())
    space.damage(2)
    found = space.ask("verify", code=4)
    assert (found["checked"], [one["reason"] for one in found["bad"]]) == (count, ["short"] * 2)
    assert space.run("verify") == f"{count - 2} entries checked, 0 bad\n"
    file = SQLITE.file(space.cache)
    data = file.read_bytes()
    file.write_bytes(data[:100] + bytes(len(data) - 100))
    (bad,) = space.ask("verify", "--keep", code=4)["bad"]
    assert bad["path"] == str(file) and not file.exists()
    assert Path(bad["kept"]).parent == space.cache / "v1" / "quarantine"
    assert space.build("-v", STORE="sqlite").misses == 2
    assert space.run("verify").endswith(" 0 bad\n")


# export, import


@pytest.mark.slow
def test_a_bundle_makes_another_cache_warm(both: Space) -> None:
    both.build()
    both.build("-O1", "-o", "other.o")
    both.run("export", "--used-by", "f.o", "-o", "f.tar")
    assert both.ask("import", "f.tar", "--cache-dir", "new", "--store", both.kind.name)["refused"] == []
    there = both.build("-v", DIR=str(both.folder / "new"))
    assert (there.hits, there.misses) == (2, 0)
    assert both.build("-O1", "-v", DIR=str(both.folder / "new")).misses == 2
    assert both.ask("export", "-o", "all.tar")["entries"] == len(both.entries())
    wide = both.ask("export", "--used-by", "f.o", "other.o", "-o", "wide.tar")
    assert (
        wide["missing"] == 0
        and wide["entries"] > both.ask("export", "--used-by", "f.o", "-o", "f.tar")["entries"]
    )


def test_only_builds_that_are_known_can_be_exported(space: Space) -> None:
    space.build()
    space.run("export", "--used-by", "g.o", "-o", "g.tar", code=1)
    assert "g.o: no build of it is noted" in space.errors
    space.run("export", "f.o", "-o", "f.tar", code=2)
    space.run("export", "--used-by", "f.o", "-o", "no/where.tar", code=1)
    assert not list(space.folder.glob("*.tar"))


def test_what_is_no_bundle(space: Space) -> None:
    space.run("import", "f.ll", code=1)
    assert "is no bundle" in space.errors
    space.run("import", "nothing", code=1)
    assert "No such file" in space.errors


def test_a_bundle_that_was_tampered_with(space: Space) -> None:
    space.build()
    space.run("export", "-o", "f.tar")
    data = bytearray(Path("f.tar").read_bytes())
    data[512] ^= 1
    Path("f.tar").write_bytes(data)
    assert len(space.ask("import", "f.tar", "--cache-dir", "new", code=4)["refused"]) == 1


# Trust


@pytest.mark.slow
def test_a_folder_for_everyone_is_refused(space: Space) -> None:
    space.build()
    space.cache.chmod(0o777)
    done = build(space.folder, *WORDS, check=False)
    assert done.exit_code == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"every user may write to {space.cache}" in line
    space.run("stats", code=2)
    space.run("stats", "--trust-cache-dir")
    assert space.build("--trust-cache-dir", "-v").misses == 0
    assert space.build("-v", TRUST_CACHE_DIR="1").misses == 0


def test_the_quick_answer_does_not_trust_it_either(space: Space) -> None:
    space.build()
    time.sleep(0.03)
    assert "up to date" in space.build().stdout
    space.cache.chmod(0o777)
    assert build(space.folder, *WORDS, check=False).exit_code == 2
    no = {"NATIVECACHE_TRUST_CACHE_DIR": "0"}
    assert build(space.folder, *WORDS, env=no, check=False).exit_code == 2


# Modes and fallbacks


@pytest.mark.slow
def test_read_only(space: Space) -> None:
    space.build()

    def all_files() -> dict[str, tuple[int, bytes]]:
        files = [path for path in space.cache.rglob("*") if path.is_file()]
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    space.set_used(1)
    before = all_files()
    assert space.build("--cache-mode=read-only").misses == 0
    write(space.folder, {"f.ll": IR.replace("%x, 3", "%x, 5")})
    assert space.build(CACHE_MODE="read-only").misses == 1
    assert space.build(CACHE_MODE="read-only").misses == 1
    assert all_files() == before


@pytest.mark.slow
def test_refresh_and_off(space: Space) -> None:
    space.build()
    space.build("--cache-mode=off", "-v")
    before = {path: path.stat().st_mtime_ns for path in space.entries()}
    assert space.build("--cache-mode=off").misses == 2
    assert space.build("--no-cache").misses == 2
    assert {path: path.stat().st_mtime_ns for path in space.entries()} == before
    for _ in range(2):
        assert space.build("--cache-mode=refresh").misses == 2
    objects = [path for path in space.entries() if b"ELF" in path.read_bytes()[:4]]
    assert len(objects) == 2 and all(before[path] < path.stat().st_mtime_ns for path in objects)
    assert build(space.folder, *WORDS, "--cache-mode=maybe", check=False).exit_code == 2


@pytest.mark.slow
def test_fallback(both: Space) -> None:
    both.build()
    far, near = str(both.cache), str(both.folder / "near")
    result = both.build("--fallback-dir", "nowhere", "--fallback-dir", far, DIR=near)
    assert (result.hits, result.misses) == (2, 0)
    assert (
        result.stderr
        == "nativecache: warning: fallback folder nowhere: there is no such folder; building without it\n"
    )
    assert both.ask("stats", "--cache-dir", near)["total"]["fallback_hits"] > 2
    assert both.build("-v", DIR=near).misses == 0
    other = FILES if both.kind is SQLITE else SQLITE
    far_off = str(both.folder / "far")
    assert both.build(DIR=far_off, FALLBACK_DIR=f"nowhere:{near}", STORE=other.name).misses == 0


def test_a_fallback_that_is_not_to_be_trusted(space: Space) -> None:
    space.build()
    space.cache.chmod(0o777)
    result = space.build("--fallback-dir", str(space.cache), DIR=str(space.folder / "near"))
    assert result.misses == 2 and "every user may write to" in result.stderr


def test_usage(space: Space) -> None:
    space.run("nonsense", code=2)
    space.run("info", "--nonsense", code=2)
    assert "clear" in space.run("--help")


def test_commands_run_as_programs(space: Space) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nativecache.cli.start", "cache", "verify", "--json"],
        env=clean_environment() | {"NATIVECACHE_DIR": str(space.cache)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, json.loads(done.stdout)) == (0, {"checked": 0, "bad": []})


def test_entries_are_where_they_should_be(space: Space) -> None:
    space.build()
    assert all(str(path) == entry_path(space.cache, path.parent.name + path.stem) for path in space.entries())
