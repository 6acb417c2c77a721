"""A build is planned by the plan of another output where its modules are mostly those of that one."""

from pathlib import Path

import pytest
from harness import BuildResult, build, needs_clang, run
from programs import Trial
from rules import write

from nativecache.aot.records.last_plan import load_plan
from nativecache.aot.records.outputs import list_outputs, outputs_recipe
from nativecache.cache.file_store import FileStore
from nativecache.cache.folder import find_entries
from nativecache.cache.layout import entry_path
from nativecache.cache.lookup import EntryStore

pytestmark = needs_clang

LIBRARY = {
    "all.h": "int printf(const char *, ...);\nint low(int), high(int), both(int), apply(int);\n"
    "extern int maybe(int) __attribute__((weak));\n",
    "low.c": '#include "all.h"\nstatic int help(int n) { return n * 3; }\n'
    "int low(int n) { return help(n) + help(n + 1); }\n",
    "high.c": '#include "all.h"\n__attribute__((noinline)) static int help(int n) { return n >> 1; }\n'
    "int high(int n) { return maybe ? maybe(n) : help(n); }\n",
    "both.c": '#include "all.h"\nint both(int n) { return low(n) + high(n); }\n',
    "table.c": '#include "all.h"\nstatic int one(int n) { return n - 1; }\n'
    "static int (*const table[])(int) = {one, both};\nint apply(int n) { return table[n & 1](n); }\n",
}
MAIN = '#include "all.h"\nint main(int n, char **v) {{ (void)v; printf("%d\\n", {}); return 0; }}\n'
TESTS = {
    "first.c": MAIN.format("low(n) + both(n)"),
    "second.c": MAIN.format("apply(n) * 7"),
    # Without the declaration that would make its own definition a weak one.
    "third.c": MAIN.format("high(n)")
    .replace('"all.h"', "<stdio.h>")
    .replace("int main", "int high(int);\nint main")
    + "int maybe(int n) { return n * 100; }\n",
}
FILES = [name for name in LIBRARY if name.endswith(".c")]


def follows(done: BuildResult) -> bool:
    """Whether a build was planned by an earlier plan."""
    return "plan" in done.stats["phases"] and "index" not in done.stats["phases"]


class Builds:
    """Builds with one cache, each compared with one without."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write(folder, {**LIBRARY, **TESTS})

    def __call__(self, *words: str | Path, output: str = "app", cwd: Path | None = None) -> BuildResult:
        done = build(self.folder, *words, "-o", output, cwd=cwd)
        build(self.folder, *words, "--no-cache", "-o", "cold", cwd=cwd)
        folder = cwd or self.folder
        assert (folder / output).read_bytes() == (folder / "cold").read_bytes()
        return done


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    made = Builds(tmp_path)
    assert not follows(made(*FILES, "first.c", "-O2"))
    return made


def test_a_second_output_of_the_same_inputs(builds: Builds) -> None:
    done = builds(*FILES, "first.c", "-O2", output="other")
    assert follows(done) and done.stats["planned_modules"] == 0 and done.misses == 0
    # And the way of an edit from there.
    write(builds.folder, {"low.c": LIBRARY["low.c"].replace("n * 3", "n * 5")})
    done = builds(*FILES, "first.c", "-O2", output="other")
    assert follows(done) and done.stats["planned_modules"] == 0


@pytest.mark.parametrize(
    "words", [("-O2",), ("-O2", "-g"), ("-O1", "-fPIC", "--emit", "shared")], ids=" ".join
)
def test_another_checkout(words: tuple[str, ...], builds: Builds) -> None:
    builds(*FILES, "first.c", *words, output="mine")
    elsewhere = builds.folder / "elsewhere"
    write(elsewhere, {**LIBRARY, **TESTS})
    done = builds(*FILES, "first.c", *words, cwd=elsewhere)
    # With debug information the folder is in all of them.
    assert follows(done) == ("-g" not in words)
    assert done.stats["planned_modules"] == (5 if "-g" in words else 0)


def test_absolute_names_and_another_order(builds: Builds) -> None:
    elsewhere = builds.folder / "elsewhere"
    write(elsewhere, {**LIBRARY, **TESTS})
    names = [elsewhere / name for name in ("first.c", *reversed(FILES))]
    done = builds(*names, "-O2", output="other")
    assert follows(done) and done.stats["planned_modules"] == 0 and done.misses == 0
    assert done.stats["sources_unchanged"] == len(names)  # clang has not run
    # What was taken over goes the way of an edit, and notices one of a header.
    write(elsewhere, {"low.c": LIBRARY["low.c"].replace("n * 3", "n * 5")})
    done = builds(*names, "-O2", output="other")
    assert follows(done) and done.stats["sources_unchanged"] == len(names) - 1
    write(elsewhere, {"all.h": LIBRARY["all.h"] + "int more(void);\n"})
    assert builds(*names, "-O2", output="other").stats["sources_unchanged"] == 0


def test_files_in_another_folder_and_none_where_they_were(builds: Builds) -> None:
    (builds.folder / "src").mkdir()
    for name in ("all.h", "first.c", *FILES):
        (builds.folder / name).rename(builds.folder / "src" / name)
    names = [f"src/{name}" for name in (*FILES, "first.c")]
    done = builds(*names, "-O2")
    assert follows(done) and done.stats["planned_modules"] == 0 and done.misses == 0
    assert done.stats["sources_unchanged"] == len(names)
    assert "up to date" in build(builds.folder, *names, "-O2", "-o", "app").stdout


def test_a_file_under_another_name(builds: Builds) -> None:
    (builds.folder / "low.c").rename(builds.folder / "lowest.c")
    names = ["lowest.c" if name == "low.c" else name for name in FILES]
    done = builds(*names, "first.c", "-O2", output="other")
    assert follows(done) and done.stats["planned_modules"] == 1 and done.misses == 0
    assert done.stats["sources_unchanged"] == 5


def test_a_file_of_a_library_under_another_name(tmp_path: Path) -> None:
    """Only its own file may inline what others can replace, so others see what that file is called."""
    write(tmp_path, LIBRARY)
    words = ("-O2", "-fPIC", "--emit", "shared", "-o", "app")
    build(tmp_path, *FILES, *words)
    (tmp_path / "low.c").rename(tmp_path / "lowest.c")
    names = ["lowest.c" if name == "low.c" else name for name in FILES]
    assert follows(build(tmp_path, *names, *words))
    build(tmp_path, *names, *words, env={"NATIVECACHE_DIR": str(tmp_path / "other")})
    plans = [
        load_plan(EntryStore(FileStore(tmp_path / cache)), tmp_path / "app") for cache in ("cache", "other")
    ]
    known = [[plan.state(i).known for i in range(len(plan))] for plan in plans if plan]
    assert len(known) == 2 and known[0] == known[1]


CPLUSPLUS = {
    "box.h": "#pragma once\n#include <stdio.h>\nint twice(int);\n"
    "template <class T> struct Box { T value; T get() const { return value * 2; } };\n"
    "inline int shared(int n) { static int calls; return n + ++calls; }\n",
    "box.cpp": '#include "box.h"\nstatic int once(int n) { return n + shared(n); }\n'
    "namespace { struct Seed { int n; Seed() : n(once(4)) {} } seed; }\n"
    "int twice(int n) { return Box<int>{n}.get() + once(seed.n); }\n",
    "main.cpp": '#include "box.h"\n'
    "int main(int n, char **) { return twice(n) + shared(Box<int>{n}.get()); }\n",
}


def test_a_file_in_cplusplus_under_another_name(builds: Builds) -> None:
    """Which has functions that others have, too, and a constructor: none that may come and go."""
    write(builds.folder, CPLUSPLUS)
    builds("box.cpp", "main.cpp", "-O2")
    for old, new in (("box.cpp", "case.cpp"), ("case.cpp", "box.cpp")):
        (builds.folder / old).rename(builds.folder / new)
        done = builds(new, "main.cpp", "-O2")
        assert follows(done) and done.stats["planned_modules"] == 1 and done.misses == 0
        # And edited at the same time.
        write(builds.folder, {new: CPLUSPLUS["box.cpp"].replace("n + shared", f"{len(new)} * n + shared")})
        done = builds(new, "main.cpp", "-O2")
        assert follows(done) and done.misses > 0


def test_a_source_that_calls_itself_otherwise(builds: Builds) -> None:
    """Its name is in the image, though no object is another one."""
    text = 'source_filename = "{}"\ndefine i32 @{}() noinline {{\n  ret i32 {}\n}}\n'
    main = text.format("m.c", "main", 0).replace("  ret i32 0", "  %n = call i32 @f()\n  ret i32 %n")
    write(builds.folder, {"m.ll": main + "declare i32 @f()\n", "f.ll": text.format("old.c", "f", 3)})
    builds("m.ll", "f.ll", "-O1")
    write(builds.folder, {"f.ll": text.format("new.c", "f", 3)})
    assert builds("m.ll", "f.ll", "-O1").misses == 0
    assert b"new.c" in (builds.folder / "app").read_bytes()


def test_copies_to_inline_that_come_to_differ(builds: Builds) -> None:
    """A plan rests on it that an inline function is the same one to all files that name it."""
    copy = "inline int f(int x) { return x + 100; }\n"
    files = {
        "main.c": copy + "int z(void), y(void);\nint main(void) { return f(1) + z() + y(); }\n",
        "z.c": copy + "int z(void) { return f(2); }\n",
        "f.c": copy + "extern inline int f(int);\n",
        "y.c": "int f(int);\nint y(void) { return 1; }\n",
    }
    write(builds.folder, files)
    builds(*files, "-O2")
    for name, old, new, does in (
        ("z.c", "f(2)", "f(2) * 2", True),
        ("y.c", "return 1", "return f(1)", True),  # which is the same as the others' copies
        ("z.c", "x + 100", "x + 90", False),
        ("z.c", "f(2) * 2", "f(2) * 3", False),
        ("z.c", "x + 90", "x + 100", True),  # from where the last plan was kept
        ("z.c", "f(2) * 3", "f(2) * 4", True),
        ("f.c", "x + 100", "x + 80", False),
        ("f.c", "x + 80", "x + 100", True),
        ("z.c", "inline int", "int", None),
    ):
        files[name] = files[name].replace(old, new)
        write(builds.folder, {name: files[name]})
        if does is None:
            assert "defined in" in build(builds.folder, *files, "-O2", "-o", "app", check=False).stderr
        else:
            assert follows(builds(*files, "-O2")) == does, (name, new)


def test_locals_within_copies_to_inline(builds: Builds) -> None:
    """They count by their code: they may change in all files, and not in one alone."""
    header = "static inline int mix(int x) { return x * SEED; }\ninline int f(int x) { return mix(x) + 1; }\n"
    files = {
        "all.h": "#ifndef SEED\n#define SEED 3\n#endif\n" + header,
        "main.c": '#include "all.h"\nint z(void);\nint main(void) { return f(1) + z(); }\n',
        "z.c": '#include "all.h"\nint z(void) { return f(2) * mix(3); }\n',
        "f.c": '#include "all.h"\nextern inline int f(int);\n',
    }
    write(builds.folder, files)
    names = [name for name in files if name.endswith(".c")]
    builds(*names, "-O2")
    for name, old, new, does in (
        ("all.h", "SEED 3", "SEED 5", True),
        ("all.h", "+ 1", "+ 2", True),
        ("z.c", "#include", "#define SEED 7\n#include", False),
        ("z.c", "#define SEED 7", "#define SEED 5", True),
        ("f.c", "#include", "#define SEED 7\n#include", False),
    ):
        files[name] = files[name].replace(old, new)
        write(builds.folder, {name: files[name]})
        assert follows(builds(*names, "-O2")) == does, (name, new)


def test_a_copy_to_inline_whose_definition_is_gone(builds: Builds) -> None:
    """What others declare is the C library's then."""
    body = "int getpagesize(void) { return 7; }\n"
    files = {
        "main.c": f"extern inline __attribute__((gnu_inline)) {body}int y(void);\n"
        "int main(void) { return getpagesize() + (y() > 7) * 10; }\n",
        "y.c": "int getpagesize(void);\nint y(void) { return getpagesize(); }\n",
        **{f"{n}.c": f"int other{n}(void) {{ return {n}; }}\n" for n in range(3)},
        "own.c": body,
    }
    write(builds.folder, files)
    builds(*files, "-O2")
    assert run(builds.folder / "app").code == 7
    builds(*[name for name in files if name != "own.c"], "-O2")
    assert run(builds.folder / "app").code == 17


def test_the_next_test_program_of_the_same_files(builds: Builds) -> None:
    done = builds(*FILES, "second.c", "-O2", output="second")
    assert follows(done) and done.stats["planned_modules"] == 1
    assert run(builds.folder / "second").stdout
    # What is called if it is there is there now.
    done = builds(*FILES, "third.c", "-O2", output="third")
    assert follows(done) and run(builds.folder / "third").stdout == b"100\n"
    done = builds(*FILES, "first.c", "-O2", output="again")
    assert follows(done)


def test_a_program_with_one_file_more(builds: Builds) -> None:
    """It is the plan of the same output that is taken, of fewer inputs."""
    write(builds.folder, {"maybe.c": "int maybe(int n) { return n + 40; }\n"})
    done = builds("maybe.c", *FILES, "first.c", "-O2")
    assert follows(done) and done.stats["planned_modules"] == 2
    assert follows(builds(*FILES, "first.c", "-O2"))


def test_what_is_in_several_files_is_planned_from_nothing(builds: Builds) -> None:
    weak = "__attribute__((weak)) int maybe(int n) { return n + 1; }\n"
    write(builds.folder, {"low.c": LIBRARY["low.c"] + weak})
    assert not follows(builds(*FILES, "first.c", "-O2"))
    assert not follows(builds(*FILES, "third.c", "-O2", output="third"))


def test_other_flags_are_another_way(builds: Builds) -> None:
    assert not follows(builds(*FILES, "first.c", "-O1", output="other"))
    assert not follows(builds(*FILES, "first.c", "-O2", "--emit", "shared", output="other"))


def test_what_was_said_of_a_file_is_said_again(builds: Builds) -> None:
    write(builds.folder, {"low.c": LIBRARY["low.c"] + "int shady(int n) { int unused = 3; return n; }\n"})
    words = (*FILES, "first.c", "-O2", "-Wall")
    assert "unused" in builds(*words).stderr
    done = builds(*words, output="other")
    assert follows(done) and "unused" in done.stderr


@pytest.mark.parametrize("what", ["the list", "states", "plans", "a row of something else"])
def test_what_is_lost_or_wrong_costs_time_only(what: str, builds: Builds) -> None:
    cache = builds.folder / "cache"
    store = EntryStore(FileStore(cache))
    plan = load_plan(store, builds.folder / "app")
    assert plan
    listed = Path(entry_path(str(cache), outputs_recipe(plan.head.guard).key()))
    assert [Path(one.path).name for one in list_outputs(store, plan.head.guard)] == ["app"]
    if what == "the list":
        listed.write_bytes(b"no entry at all")
    elif what == "a row of something else":
        builds(*FILES, "second.c", "-O1", output="other")
        other = load_plan(store, builds.folder / "other")
        assert other and other.head.guard != plan.head.guard
        second = entry_path(str(cache), outputs_recipe(other.head.guard).key())
        listed.write_bytes(Path(second).read_bytes())
    else:
        for found in find_entries(cache):
            entry = store.load(found.key)
            kind = str(entry.meta.get("form", "")).partition(" ")[0] if entry else ""
            if kind == {"states": "states", "plans": "plan"}[what]:
                Path(entry_path(str(cache), found.key)).unlink()
    assert not follows(builds(*FILES, "second.c", "-O2", output="second"))


@pytest.mark.family(2)
@pytest.mark.parametrize("seed", [105, 300])
def test_random_programs_of_a_pool(seed: int, tmp_path: Path) -> None:
    trial = Trial(seed, tmp_path / "pool", calm=True)
    for _ in range(5):
        problems = trial.check()
        assert not problems, "\n".join([*trial.commands, *problems])
    assert trial.adopted > 0 and trial.compared > 2
