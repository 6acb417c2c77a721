"""Random programs of a pool of files, built one after the other with one cache: each may take another's plan.

A pool has files in C and C++ with all that symbols of several files can do to each other: statics of one
name, tables of functions, weak, common and inline definitions, aliases, asm, thread-local variables,
constructors. A program is some of the files, in any order, with one of the files that have `main`; it is
built in a checkout of its own or in another's, in its folder or one below, under relative or absolute names,
for an output of its own or another's. What one file may want of another that is not there is weak, so that
every program links.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from edits import SETTLED_SECONDS
from harness import by_function, enter

import nativecache.aot.build  # noqa: F401 - loaded before forks
from nativecache.aot.records.last_plan import plan_recipe, read_plan
from nativecache.aot.records.outputs import outputs_recipe
from nativecache.cache.entry import Entry
from nativecache.cache.file_store import FileStore
from nativecache.cache.layout import entry_path
from nativecache.cache.lookup import EntryStore

HEADER = """#ifdef __cplusplus
extern "C" {
#endif
int printf(const char *, ...);
#ifdef __cplusplus
}
inline int shared_inline(int n) { return n * 5 + 1; }
template <int N> int stamped(int n) { return n * N + shared_inline(n); }
#endif
static inline int clip(int n) { return n > 999 ? n % 999 : n; }
"""
#: What a file may have besides its functions: text with the file's number for `$`, another's for `%`.
EXTRAS = {
    "static": "static int helper(int n) { return n * $ + 3; }\n"
    "int use$(int n) { return helper(n) + helper(n + 1); }\n",
    "once": "static int lone(int n) { return n * n + $; }\nint once$(int n) { return lone(n) * 7; }\n",
    "table": "static int one$(int n) { return n + $; }\nint (*const table$[])(int) = {one$, base0};\n"
    "int pick$(int n) { return table$[n & 1](n); }\n",
    "constant": "const int limit$ = $ + 4;\nextern const int limit%[[gnu::weak]];\n"
    "int far$(int n) { return &limit% ? limit% + n : n; }\n",
    "weak": "__attribute__((weak)) int choice(int n) { return n + 1; }\n"
    "int call$(int n) { return choice(n) + $; }\n",
    "strong": "int choice(int n) { return n * 2 + $; }\n",
    "common": "__attribute__((common)) int counted;\nint count$(int n) { return counted += n; }\n",
    "alias": 'int real$(int n) { return n + 2 * $; }\nint second$(int) __attribute__((alias("real$")));\n',
    "asm": '__asm__(".globl marker$\\n.set marker$, 7$\\n");\nint asm$(int n) { return n - $; }\n',
    "inline asm": 'int calls$(int n) { __asm__ volatile("# base1" : "+r"(n)); return n; }\n',
    "thread": "__thread int mine$ = $;\nint thread$(int n) { return mine$ += n; }\n",
    "constructor": "static int early$;\n"
    "__attribute__((constructor)) static void begin$(void) { early$ = $; }\n"
    "int begun$(int n) { return early$ + n; }\n",
    "section": '__attribute__((section("mine"))) int placed$ = $;\n',
    "wanted": "extern int maybe%(int) __attribute__((weak));\n"
    "int want$(int n) { return maybe% ? maybe%(n) : n; }\n",
    "offered": "int maybe$(int n) { return n * 11 + $; }\n",
    "hidden": '__attribute__((visibility("hidden"))) int inner$(int n) { return clip(n) + $; }\n',
    "library": "unsigned long strlen(const char *s) { unsigned long n = 0; while (s[n]) n++; return n; }\n",
    "long": "int long$(int n) {\n  volatile int s = n;\n" + "  s += base0(s) + $;\n" * 9 + "  return s;\n}\n",
    "used": "__attribute__((used)) static int kept$ = $;\n",
    "loop": "int loop$(int *a, int n) { for (int i = 0; i < n; i++) a[i] = 0; return a[0] + $; }\n",
    "place": "#include <assert.h>\nconst char *place$(int n) { assert(n); return __FILE__; }\n",
    "unused place": "#define PLACE$ __FILE__\nint placeless$(int n) { return n - $; }\n",
    "dotted": '__asm__("");\nint dot$(int n) __asm__("dot.f%");\nint dot$(int n) { return n + $; }\n',
}
#: Of what most pools are made: what keeps a program from being planned by another's plan is rare in it.
CALM = (
    "static",
    "once",
    "table",
    "constant",
    "wanted",
    "offered",
    "hidden",
    "long",
    "loop",
    "constructor",
    "place",
)


@dataclass
class File:
    """A file of a pool: its text follows from its numbers."""

    number: int
    ending: str
    extras: list[str]
    value: int
    main: bool = False
    exports: int = 1
    static: bool = False  # its first function that nobody else needs

    @property
    def name(self) -> str:
        return f"{'main' if self.main else 'f'}{self.number}{self.ending}"

    def text(self, others: int) -> str:
        n = self.number
        cxx = self.ending != ".c"
        lines = ['#include "pool.h"\n', 'extern "C" {\n' if cxx else "", "int base0(int), base1(int);\n"]
        for k, extra in enumerate(self.extras):
            other = (n * 7 + k * 3 + self.value) % others
            text = EXTRAS[extra].replace("$", str(n)).replace("%", str(other))
            text = text.replace("[[gnu::weak]]", " __attribute__((weak))")
            lines.append(text if not (cxx and extra in ("common", "loop")) else "")
        if n < 2 and not self.main:
            lines.append(f"int base{n}(int n) {{ return clip(n * {self.value}) + {n}; }}\n")
        for k in range(self.exports):
            word = "static __attribute__((noinline, used)) " if self.static and k == 0 else ""
            lines.append(f"{word}int part{n}_{k}(int n) {{ return base{k % 2}(n + {self.value}) * 3; }}\n")
        if self.main:
            lines.append("int main(int n, char **v) {\n  int sum = base0(n) + base1(n);\n")
            lines.append("  (void)v;\n")
            lines += [f"  sum += {name}(n + {k});\n" for k, name in enumerate(self._own())]
            lines.append('  printf("%d\\n", sum);\n  return 0;\n}\n')
        lines.append("}\n" if cxx else "")
        if cxx and self.value % 2:
            lines.append(
                f"int stamp{n}(int n) {{ return stamped<{self.value % 3}>(n) + shared_inline({n}); }}\n"
            )
        return "".join(lines)

    def _own(self) -> Iterator[str]:
        yield f"part{self.number}_0"
        names = {"static": "use", "once": "once", "table": "pick", "constant": "far", "wanted": "want"}
        yield from (f"{names[extra]}{self.number}" for extra in dict.fromkeys(self.extras) if extra in names)


@dataclass
class Trial:
    """A pool of files, of which programs are built."""

    seed: int
    space: Path
    calm: bool = False
    files: list[File] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    adopted: int = 0  # builds by the plan of another output
    followed: int = 0  # builds by any plan
    failed: int = 0  # builds that ended with an error, as they do from nothing
    compared: int = 0  # kept plans that were held against those from nothing

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.flags = self.rng.choice((["-O2"], ["-O2"], ["-O1", "-fPIC"], ["-O2", "-g"], ["-O2", "-fcommon"]))
        if self.calm:
            self.flags = self.rng.choice((["-O2"], ["-O1", "-fPIC"]))
        self.cplusplus = self.rng.random() < (0.2 if self.calm else 0.4)
        self.files = [self._new_file(n, main=n % 4 == 3) for n in range(12)]
        self.space.mkdir(parents=True)

    def _new_file(self, n: int, *, main: bool) -> File:
        rng = self.rng
        ending = ".cpp" if self.cplusplus and n > 1 and rng.random() < 0.4 else ".c"
        known = CALM if self.calm and rng.random() < 0.95 else tuple(EXTRAS)
        return File(n, ending, rng.sample(known, rng.randint(0, 3)), rng.randint(2, 9), main)

    def edit(self) -> str:
        """Changes a file at random, and says how."""
        file = self.rng.choice(self.files)
        change = self.rng.choice(("value", "value", "exports", "static", "extras", "main"))
        if change == "value":
            file.value = self.rng.randint(2, 9)
        elif change == "exports":
            file.exports = self.rng.randint(1, 3)
        elif change == "static":
            file.static = not file.static
        elif change == "main":
            file = next(one for one in self.files if one.main)
            file.extras = self.rng.sample(CALM, 2)
        else:
            file.extras = self.rng.sample(CALM if self.calm else tuple(EXTRAS), self.rng.randint(0, 3))
        return f"{change} of {file.name}"

    def check(self) -> list[str]:
        """Builds a random program. What is wrong with that, a line each."""
        rng = self.rng
        said = self.edit() if rng.random() < 0.4 else ""
        plain = [file for file in self.files if not file.main and file.number > 1]
        chosen = [file for file in plain if rng.random() < 0.8]
        program = [*self.files[:2], *chosen, rng.choice([file for file in self.files if file.main])]
        if rng.random() < 0.3:
            rng.shuffle(program)
        checkout = self.space / rng.choice(("here", "there"))
        checkout.mkdir(exist_ok=True)
        names = {file.name: file.text(len(self.files)) for file in self.files}
        for name, text in {**names, "pool.h": HEADER}.items():
            path = checkout / name
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
        words = [file.name for file in program]
        if rng.random() < 0.2:  # under another name
            n = rng.randrange(len(words))
            new = f"renamed_{words[n]}"
            (checkout / new).write_text((checkout / words[n]).read_text())
            words[n] = new
        if rng.random() < 0.15:  # in another folder, with the header
            sub = checkout / rng.choice(("sub", "deeper/sub"))
            sub.mkdir(parents=True, exist_ok=True)
            for name in (*words, "pool.h"):
                (sub / name).write_text((checkout / name).read_text())
            words = [f"{sub.relative_to(checkout)}/{name}" for name in words]
        if rng.random() < 0.2:
            words = [str(checkout / name) for name in words]
        time.sleep(SETTLED_SECONDS)
        emit = rng.choice(("exe", "exe", "exe", "shared"))
        output = checkout / f"out{rng.randrange(4)}.{emit}"
        words += [*self.flags, "--emit", emit]
        self.commands.append(
            f"# {said}\ncd {checkout.name}; nativecache build {shlex.join(words)} -o {output.name}"
        )
        return self._compare(checkout, words, output)

    def _compare(self, checkout: Path, words: list[str], output: Path) -> list[str]:
        figures = self.space / "figures.json"
        figures.unlink(missing_ok=True)
        cache = self.space / "cache"
        known = self._plan(output)
        told = ["--cache-dir", str(cache), "--stats-json", str(figures), "-o", str(output)]
        warm = self._build(checkout, [*words, *told])
        cold = self._build(checkout, [*words, "--no-cache", "-o", str(self.space / "cold")])
        if warm or cold:
            # Two files may define the same: both builds say so.
            self.failed += 1
            return [] if warm and cold else [f"with the cache: {warm or 'built'}, without: {cold or 'built'}"]
        if output.read_bytes() != (self.space / "cold").read_bytes():
            return ["with the cache it is another image than without"]
        phases = json.loads(figures.read_text())["phases"] if figures.exists() else {}
        followed = "plan" in phases and "index" not in phases
        self.followed += followed
        self.adopted += followed and known is None
        kept = self._plan(output)
        if kept is None or not phases:
            return []
        # Once more, with no plan to go by.
        listed = self._path(outputs_recipe(read_plan(kept)[0].guard).key())
        list_of_outputs = listed.read_bytes() if listed.exists() else b""
        listed.unlink(missing_ok=True)
        self._path(plan_recipe(output).key()).unlink()
        if problem := self._build(checkout, [*words, "-v", *told]):
            return [f"from nothing: {problem}"]
        anew = self._plan(output)
        if list_of_outputs:
            listed.write_bytes(list_of_outputs)
        self.compared += 1
        if anew is None or anew.payload == kept.payload:
            return [] if anew or not followed else ["a plan was kept though none is from nothing"]
        old, new = json.loads(kept.payload), json.loads(anew.payload)
        differing = sorted(name for name in new if new[name] != old.get(name))
        if differing == ["groups", "states"]:
            return []  # an edit leaves modules in the groups in which they are
        shown = [f"{name}: {old.get(name)!r:.300} / {new[name]!r:.300}" for name in differing]
        return ["the plan that was kept is another one than from nothing:", *shown]

    def _path(self, key: str) -> Path:
        return Path(entry_path(str(self.space / "cache"), key))

    def _plan(self, output: Path) -> Entry | None:
        return EntryStore(FileStore(self.space / "cache")).load(plan_recipe(output).key())

    def _build(self, folder: Path, words: list[str]) -> str:
        """What went wrong, if anything."""
        log = self.space / "log"
        process = multiprocessing.get_context("fork").Process(target=_build, args=(folder, log, words))
        process.start()
        process.join()
        return f"exit code {process.exitcode}: {log.read_text()[-500:]}" if process.exitcode else ""


def _build(folder: Path, log: Path, words: list[str]) -> None:
    import sys

    from nativecache.cli import start

    enter(folder, log)
    sys.argv = by_function(["nativecache", "build", "-j1", *words])
    start.main()


def main() -> None:
    """`programs.py FIRST LAST [STEPS] [calm]` tries pools by number."""
    import shutil
    import sys
    import tempfile

    first, last, *rest = sys.argv[1:]
    steps = int(rest[0]) if rest else 15
    for seed in range(int(first), int(last) + 1):
        space = Path(tempfile.mkdtemp(prefix=f"programs-{seed}-"))
        trial = Trial(seed, space / "pool", calm="calm" in rest)
        for step in range(steps):
            problems = trial.check()
            if problems:
                print(f"{seed}.{step}: {space}", *trial.commands[-4:], *problems, sep="\n")
                break
        else:
            shutil.rmtree(space)
        print(
            f"{seed}: {trial.adopted} adopted, {trial.followed} followed, {trial.compared} compared,",
            f"{trial.failed} failed",
            " ".join(trial.flags),
            flush=True,
        )


if __name__ == "__main__":
    os.environ.pop("NATIVECACHE_DIR", None)
    main()
