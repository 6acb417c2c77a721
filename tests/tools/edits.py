"""Random C and C++ projects and random edits of them, valid by construction, built after each edit.

A project is a model that is written out as sources. Every edit changes the model: a constant, an attribute,
the file that something stands in, the order of the files, a flag, a header, … . What calls what has no
cycles, so every program ends, and only unsigned numbers are computed with, so it always says the same.
"""

from __future__ import annotations

import copy
import json
import multiprocessing
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from harness import CLANG, by_function, enter, run

import nativecache.aot.build  # noqa: F401 - loaded before forks
from nativecache.aot.records.last_plan import plan_recipe
from nativecache.cache.format import unseal
from nativecache.cache.layout import entry_path
from nativecache.cli import start

ATTRIBUTES = (
    *("noinline", "always_inline", "weak", "cold", "hot", "used", "constructor", "optnone", "flatten"),
    *('section(".text.mine")', 'visibility("hidden")', 'visibility("protected")', "aligned(64)"),
)
KINDS = (
    *("plain", "plain", "calls", "calls", "calls", "once", "loop", "prints", "says", "switch", "state"),
    *("table", "indirect", "struct", "goto", "asm", "long", "header", "variable", "variable", "string"),
    *("part", "local"),
)
WORDS = ("alpha", "beta", "gamma", "delta %u\\n", "", "a longer text with %% in it", "alpha")
#: What debug information a project has mostly, for what is in it depends on everything.
DEBUG = ("-g", "-g", "-g", "-g1", "-gdwarf-4", "-g -fstandalone-debug", "-g -gsimple-template-names", "")
LEVELS = ("-O0", "-O1", "-O2", "-O2", "-O2", "-O3")
EMITS = ("exe", "exe", "exe", "exe", "shared", "object", "archive", "asm", "bitcode")


@dataclass
class Function:
    """`int NAME(unsigned x)` in a file; it calls functions of lower rank only."""

    rank: int
    file: int
    kind: str
    number: int
    callees: list[int]
    variable: int
    word: int
    static: bool = False
    attributes: set[str] = field(default_factory=set)
    alias: bool = False
    #: What a static one is called, when not by its rank: several files may have one of the same name.
    name: str = ""

    def spelled(self) -> str:
        return self.name if self.static and self.name else f"f{self.rank}"


@dataclass
class Variable:
    """`unsigned vN` or an array of some, constant or not."""

    rank: int
    file: int
    number: int
    length: int
    static: bool = False
    words: set[str] = field(default_factory=set)  # const, thread, weak, section, used


#: Of what a project is made whose plan mostly stands: see replan.py.
CALM_KINDS = (
    *("plain", "calls", "calls", "once", "loop", "prints", "says", "switch", "state", "table", "indirect"),
    *("struct", "long", "header", "variable", "string", "part", "local"),
)
CALM_ATTRIBUTES = ("noinline", "always_inline", "cold", "hot", "optnone", "constructor", "aligned(64)")
CALM_EDITS = (
    *("number", "number", "another number", "kind", "another kind", "callee", "callee", "attribute", "word"),
    *("static", "other variable", "variable", "move", "above", "gap", "turn", "header", "define", "two"),
)


@dataclass
class Project:
    """A model of a program, and how it is built."""

    files: list[int]  # numbers of files in the order of the command line
    endings: dict[int, str]
    functions: list[Function]
    variables: list[Variable]
    header: int = 3
    struct: str = "S"
    members: int = 2
    above: dict[int, int] = field(default_factory=dict)  # comment lines at the top of files
    gaps: dict[int, int] = field(default_factory=dict)  # blank lines in functions, by rank
    gap: int = 0  # in the header
    parts: list[int] = field(default_factory=lambda: [1, 1])  # blank lines in what functions include
    folder: str = "src"
    debug: str = "-g"
    reverse: set[int] = field(default_factory=set)  # files whose functions stand in another order
    defines: dict[str, int] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    level: str = "-O2"
    options: list[str] = field(default_factory=list)
    emit: str = "exe"
    calm: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        return CALM_KINDS if self.calm else KINDS

    def names(self) -> list[str]:
        return [f"p{n}{self.endings[n]}" for n in self.files]

    def sources(self) -> dict[str, str]:
        texts = {"common.h": self._header(), "part.h": self._part()}
        for n in self.files:
            texts[f"p{n}{self.endings[n]}"] = self._file(n)
        return texts

    def command(self) -> list[str]:
        """What both compilers are told, but for outputs."""
        defines = [f"-D{name}={value}" for name, value in self.defines.items()]
        # Of assembly, each unit numbers the files of its lines anew.
        debug = self.debug.split() if self.emit != "asm" else []
        return [*self.names(), self.level, *defines, *self.flags, *debug]

    def _part(self) -> str:
        first, second = ("\n" * lines for lines in self.parts)
        return f"#if PART & 1\n{first}x += {self.header}u;\n#endif\n#if PART & 2\n{second}x *= 3u;\n#endif\n"

    def _header(self) -> str:
        gap = "\n" * self.gap
        members = "".join(f" unsigned m{n};" for n in range(self.members))
        return f"""#ifdef __cplusplus
extern "C" {{
#endif
int printf(const char *, ...); int puts(const char *); void *memset(void *, int, unsigned long);
struct {self.struct} {{{members} const char *name; }};{gap}
static inline unsigned mix(unsigned x) {{ return x * {2 * self.header + 1}u + SEED; }}
static inline __attribute__((always_inline)) unsigned must(unsigned x) {{ return mix(x) ^ {self.header}u; }}
#ifdef __cplusplus
}}
inline unsigned many(unsigned x) {{ static unsigned n = {self.header}; n += x & 1; return n + mix(x); }}
template <unsigned N> unsigned folded(unsigned x) {{ return N ? x * N + {self.header}u : many(x); }}
struct Base {{ virtual unsigned on(unsigned x) {{ return x + {self.header}u; }} virtual ~Base() {{}} }};
#else
inline unsigned many(unsigned x) {{ return x * 5u + mix(x) + {self.header}u; }}
#endif
"""

    def _file(self, n: int) -> str:
        cxx = self.endings[n] != ".c"
        lines = [f"// {k}" for k in range(self.above.get(n, 0))]
        lines += ["#ifndef SEED", "#define SEED 1u", "#endif", '#include "common.h"']
        if cxx:
            lines.append('extern "C" {')
        elif n == min(m for m in self.files if self.endings[m] == ".c"):
            lines.append("extern unsigned many(unsigned x);")
        lines += [self._declare(v) for v in self.variables if v.file != n and not v.static]
        lines += [self._define(v) for v in self.variables if v.file == n]
        mine = [f for f in self.functions if f.file == n]
        own = {f.name for f in mine if f.static}
        lines += [
            f"unsigned f{f.rank}(unsigned);{f' unsigned g{f.rank}(unsigned);' if f.alias else ''}"
            for f in self.functions
            if f.file != n and not f.static and f.spelled() not in own
        ]
        lines += [f"{self._head(f)};" for f in mine]
        lines += [f"{'static ' * f.static}unsigned g{f.rank}(unsigned);" for f in mine if f.alias]
        if n in self.reverse:
            mine = mine[::-1]
        v = next((v for v in self.variables if v.file == n and "const" not in v.words), None)
        for f in mine:
            early = f"v{v.rank}[0] += {f.number}u;" if v else ""
            lines += [self._head(f) + " {", *[""] * self.gaps.get(f.rank, 0), *self._body(f, cxx)]
            lines.append("}")
            if f.alias:
                words = "static " * f.static
                lines.append(
                    f'{words}unsigned g{f.rank}(unsigned) __attribute__((alias("{f.spelled()}"), unused));'
                )
            if "constructor" in f.attributes and v:
                lines.append(f"static __attribute__((constructor)) void c{f.rank}(void) {{ {early} }}")
        if n == min(self.files):
            lines += ["int main(void) {", "  unsigned sum = 0;"]
            for f in self.functions:
                if self.sees(n, f):
                    lines.append(f'  sum += {f.spelled()}({f.rank}u); printf("{f.rank}: %u\\n", sum);')
            lines += ["  return (int)(sum & 127u);", "}"]
        if cxx:
            lines.append("}")
            lines.append(f"struct Late{n} : Base {{ unsigned n; Late{n}() : n(many({n}u)) {{}} }};")
            lines.append(f"static Late{n} late{n};")
        return "\n".join(lines) + "\n"

    def _declare(self, v: Variable) -> str:
        words = [w for w in ("const", "thread") if w in v.words]
        spelled = " ".join({"thread": "__thread"}.get(w, w) for w in words)
        return f"extern {spelled} unsigned v{v.rank}[{v.length}];"

    def _define(self, v: Variable) -> str:
        words = ["static"] if v.static else []
        words += [{"thread": "__thread"}.get(w, w) for w in ("const", "thread") if w in v.words]
        attributes: list[str] = [w for w in ("weak", "used") if w in v.words]
        attributes += ['section("mine")'] if "section" in v.words else []
        attributes += ["unused"]
        items = ", ".join(f"{v.number + k}u" for k in range(v.length))
        linkage = "" if v.static else "extern "
        first = f"{self._declare(v)}\n" if linkage and "const" in v.words else ""
        return (
            f"{first}{' '.join(words)} unsigned v{v.rank}[{v.length}]"
            f" __attribute__(({', '.join(attributes)})) = {{{items}}};"
        )

    def _head(self, f: Function) -> str:
        words = ["static"] if f.static else []
        if "always_inline" in f.attributes:
            words.append("inline" if f.static else "")
        attributes = ["unused", *sorted(f.attributes - {"constructor"})]
        return (
            f"{' '.join(words)} __attribute__(({', '.join(attributes)})) unsigned {f.spelled()}(unsigned x)"
        )

    def sees(self, file: int, f: Function) -> bool:
        """Whether a file can name a function: a static one of its own may have that name there."""
        if f.file == file or f.static:
            return f.file == file
        return all(g.name != f.spelled() for g in self.functions if g.file == file and g.static)

    def _call(self, f: Function, k: int, argument: str) -> str:
        """A call of a callee that is seen from this function's file; else a number."""
        for at in range(len(f.callees)):
            callee = self.functions[f.callees[(k + at) % len(f.callees)]]
            if callee.rank < f.rank and self.sees(f.file, callee):
                name = f"g{callee.rank}" if callee.alias and f.number % 2 else callee.spelled()
                return f"{name}({argument})"
        return f"({argument} + {f.number}u)"

    def _seen(self, f: Function) -> Variable | None:
        for v in self.variables[f.variable :] + self.variables[: f.variable]:
            if v.file == f.file or not v.static:
                return v
        return None

    def _body(self, f: Function, cxx: bool) -> list[str]:
        n, word = f.number, WORDS[f.word]
        first, second = self._call(f, 0, f"x ^ {n}u"), self._call(f, 1, "x + 1u")
        v = self._seen(f)
        item = f"v{v.rank}[{n % v.length}]" if v else "x"
        bodies = {
            "plain": [f"return x * {n}u + {n + 1}u;"],
            "calls": [f"unsigned y = {first};", f"return y * 3u + {second};"],
            "once": [f"return {first} + {n}u;"],
            "loop": [
                f"unsigned a[8]; memset(a, {n & 255}, sizeof a);",
                f"for (unsigned i = 0; i < {n % 9}u; i++) a[i & 7] += x * i;",
                f"return a[{n % 8}] + {item};",
            ],
            "prints": [f'printf("{word}\\n", x); return x + {n}u;'],
            "says": [f'puts("{word.replace("%u", "").replace(chr(92) + "n", "")}"); return {first};'],
            "switch": [
                f"switch (x % 5u) {{ case 0: return {n}u; case 1: return {first}; case 2: return x;",
                f"case 3: return {n * 7}u; }}",
                f"return {second};",
            ],
            "state": [f"static unsigned count = {n}u; count += x; return count;"],
            "table": [f"static const unsigned t[4] = {{1u, {n}u, 3u, {n + 2}u}}; return t[x & 3];"],
            "indirect": [
                f"unsigned (*p)(unsigned) = x & 1 ? {first.partition('(')[0] or f.spelled()} : 0;",
                f"return p ? p(x) + {n}u : {n}u;",
            ],
            "struct": [
                f'struct {self.struct} s = {{{n}u, x, 0}}; s.name = "{WORDS[2]}";',
                f"return s.m0 * 3u + s.m1 + (unsigned)s.name[{n % 5}];",
            ],
            "goto": [
                f"static void *const t[] = {{&&a, &&b}}; goto *t[(x + {n}u) & 1];",
                f"a: return {n}u; b: return {first};",
            ],
            "asm": [f'__asm__ volatile("# {f.word} f{n % 9}" : "+r"(x)); return x + {n}u;'],
            "part": [f"#define PART {n & 3}", '#include "part.h"', "#undef PART", f"return x ^ {n}u;"],
            "local": [
                "struct L { unsigned a, b; } l = {x, 1u};",
                f"{{ static struct L s; s.a += {n}u; l.b += s.a; }}",
                f"return l.a + l.b + {first};",
            ],
            "long": [
                "volatile unsigned s = x;",
                *(f"s += {n + k}u;" for k in range(n % 7 * 5)),
                f"return s + {first};",
            ],
            "header": [f"return mix(x) + must({n}u) + many(x);"],
            "variable": [f"return {item} * {n}u + x;"],
            "string": [f'const char *s = "{WORDS[f.word]}"; return (unsigned)s[0] * {n}u + x;'],
        }
        lines = bodies[f.kind]
        if f.kind == "indirect" and not first.startswith(("f", "g", "s")):
            lines = bodies["plain"]
        if cxx and f.kind == "header":
            lines = [f"return folded<{n}u>(x) + many(x) + folded<0>(x) + must(x);"]
        if cxx and f.kind == "goto":
            lines = bodies["switch"]
        return [line if line[0] == "#" else "  " + line for line in lines]


def random_project(rng: Random, *, calm: bool = False) -> Project:
    count = rng.randint(2, 4)
    cxx = ".c" if calm and rng.random() < 0.5 else ".cpp"
    endings = {n: rng.choice((".c", ".c", ".c", cxx)) for n in range(count)}
    project = Project(list(range(count)), endings, [], [], calm=calm)
    if calm:
        project.debug, project.emit = rng.choice(("", *DEBUG)), rng.choice(("exe", "exe", "exe", "shared"))
    for _ in range(rng.randint(2, 5)):
        _add_variable(project, rng)
    for _ in range(rng.randint(6, 14)):
        _add_function(project, rng)
    for _ in range(8):
        edit(project, rng)
    return project


def _add_variable(p: Project, rng: Random) -> None:
    rank = len(p.variables)
    v = Variable(rank, rng.choice(p.files), rng.randint(0, 99), rng.choice((1, 1, 3, 8, 40)))
    v.static = rng.random() < 0.4
    p.variables.append(v)


def _add_function(p: Project, rng: Random) -> None:
    rank = len(p.functions)
    callees = [rng.randrange(rank) for _ in range(2)] if rank else []
    f = Function(
        rank,
        rng.choice(p.files),
        rng.choice(p.kinds),
        rng.randint(1, 99),
        callees,
        0,
        rng.randrange(len(WORDS)),
    )
    f.variable = rng.randrange(len(p.variables))
    f.static = rng.random() < 0.4
    p.functions.append(f)


def edit(p: Project, rng: Random) -> str:
    """Changes a project at random and says how."""
    name = rng.choice(CALM_EDITS if p.calm else tuple(EDITS))
    said = EDITS[name](p, rng)
    _repair(p)
    return f"{name}{said or ''}"


def _repair(p: Project) -> None:
    """What C forbids, or what makes programs differ by right."""
    for f in p.functions:
        if f.static:
            f.attributes -= {"weak", 'visibility("hidden")', 'visibility("protected")'}
        if "weak" in f.attributes:
            f.attributes -= {"always_inline", 'visibility("protected")'}
        for one, other in (
            ("noinline", "always_inline"),
            ("always_inline", "optnone"),
            ("cold", "hot"),
            ("flatten", "optnone"),
            ('visibility("hidden")', 'visibility("protected")'),
        ):
            if one in f.attributes:
                f.attributes.discard(other)
        if "optnone" in f.attributes:
            f.attributes.add("noinline")
        if f.kind == "goto":
            f.attributes -= {"always_inline"}
        cxx = p.endings[f.file] != ".c"
        if "always_inline" in f.attributes or "weak" in f.attributes or (f.static and cxx):
            f.alias = False
        if not f.static:
            f.name = ""
    for f in p.functions:
        if f.static and f.name:
            own = {g.spelled() for g in p.functions if g.file == f.file and g is not f}
            while f.name in own:
                f.name += "_"
    for v in p.variables:
        if v.static:
            v.words -= {"weak"}
        if "const" in v.words:
            v.words -= {"thread", "section", "weak"}
        if "thread" in v.words:
            v.words -= {"section"}
    if not any(p.endings[n] == ".c" for n in p.files):
        p.endings[min(p.files)] = ".c"


def _some(p: Project, rng: Random) -> Function:
    return rng.choice(p.functions)


def _number(p: Project, rng: Random) -> str:
    f = _some(p, rng)
    f.number = rng.randint(1, 99)
    return f" f{f.rank}"


def _kind(p: Project, rng: Random) -> str:
    f = _some(p, rng)
    f.kind = rng.choice(p.kinds)
    return f" f{f.rank} {f.kind}"


def _callee(p: Project, rng: Random) -> None:
    f = _some(p, rng)
    if f.rank:
        f.callees = [rng.randrange(f.rank) for _ in range(2)]


def _attribute(p: Project, rng: Random) -> str:
    f, word = _some(p, rng), rng.choice(CALM_ATTRIBUTES if p.calm else ATTRIBUTES)
    f.attributes ^= {word}
    return f" f{f.rank} {word}"


def _static(p: Project, rng: Random) -> str:
    f = _some(p, rng)
    f.static = not f.static
    return f" f{f.rank}"


def _namesake(p: Project, rng: Random) -> str:
    """A static function gets the name of some other file's, or a library's."""
    f = _some(p, rng)
    f.static = True
    others = [g.spelled() for g in p.functions if not g.static and g.file != f.file]
    f.name = rng.choice([f"s{rng.randint(0, 2)}", "memchr", "putchar", *others])
    return f" f{f.rank} {f.name}"


def _alias(p: Project, rng: Random) -> str:
    f = _some(p, rng)
    f.alias = not f.alias
    return f" f{f.rank}"


def _word(p: Project, rng: Random) -> None:
    _some(p, rng).word = rng.randrange(len(WORDS))


def _move(p: Project, rng: Random) -> str:
    f = _some(p, rng)
    f.file = rng.choice(p.files)
    return f" f{f.rank}"


def _variable(p: Project, rng: Random) -> str:
    v = rng.choice(p.variables)
    changes = ("number", "length", "static", "file", "const", "thread", "weak", "section", "used")
    change = rng.choice(changes[:6] if p.calm else changes)
    if change == "number":
        v.number = rng.randint(0, 99)
    elif change == "length":
        v.length = rng.choice((1, 2, 8, 40))
    elif change == "static":
        v.static = not v.static
    elif change == "file":
        v.file = rng.choice(p.files)
    else:
        v.words ^= {change}
    return f" v{v.rank} {change}"


def _other_variable(p: Project, rng: Random) -> None:
    _some(p, rng).variable = rng.randrange(len(p.variables))


def _order(p: Project, rng: Random) -> None:
    rng.shuffle(p.files)


def _file(p: Project, rng: Random) -> str:
    """One file more or less."""
    if len(p.files) > 2 and rng.random() < 0.5:
        gone = rng.choice(p.files)
        p.files.remove(gone)
        things: list[Function | Variable] = [*p.functions, *p.variables]
        for thing in things:
            if thing.file == gone:
                thing.file = rng.choice(p.files)
        return f" p{gone} goes"
    new = next(n for n in range(99) if n not in p.files)
    p.files.append(new)
    p.endings[new] = rng.choice((".c", ".c", ".cpp"))
    for _ in range(2):
        _some(p, rng).file = new
    return f" p{new} comes"


def _above(p: Project, rng: Random) -> None:
    p.above[rng.choice(p.files)] = rng.randint(0, 5)


def _gap(p: Project, rng: Random) -> str:
    """Blank lines in a function, the header, or what functions include."""
    where = rng.randrange(4)
    if where == 0:
        p.gap = rng.randint(0, 3)
        return " in the header"
    if where == 1:
        p.parts = [rng.randint(0, 2), rng.randint(0, 2)]
        return " in parts"
    f = _some(p, rng)
    p.gaps[f.rank] = rng.randint(0, 3)
    return f" in f{f.rank}"


def _debug(p: Project, rng: Random) -> str:
    p.debug = rng.choice(DEBUG)
    return f" {p.debug}"


def _folder(p: Project, rng: Random) -> str:
    """Another checkout."""
    p.folder = rng.choice(("src", "sources of another", "s"))
    return f" {p.folder}"


def _turn(p: Project, rng: Random) -> None:
    p.reverse ^= {rng.choice(p.files)}


def _define(p: Project, rng: Random) -> None:
    p.defines = {} if p.defines else {"SEED": rng.randint(2, 9)}


def _flag(p: Project, rng: Random) -> str:
    flag = rng.choice(("-fno-inline", "-fno-builtin", "-fPIC", "-fvisibility=hidden", "-fcommon"))
    p.flags = [f for f in p.flags if f != flag] if flag in p.flags else [*p.flags, flag]
    return f" {flag}"


def _header(p: Project, rng: Random) -> None:
    change = rng.randrange(3)
    if change == 0:
        p.header = rng.randint(1, 50)
    elif change == 1:
        p.struct = rng.choice(("S", "T", "Pair"))
    else:
        p.members = rng.randint(2, 4)


def _level(p: Project, rng: Random) -> str:
    p.level = rng.choice(LEVELS)
    return f" {p.level}"


def _limit(p: Project, rng: Random) -> str:
    choices: list[list[str]] = [[], [], ["--import-limit", "0"], ["--import-limit", str(rng.randint(1, 90))]]
    p.options = rng.choice(choices)
    return f" {p.options}"


def _emit(p: Project, rng: Random) -> str:
    p.emit = rng.choice(EMITS)
    return f" {p.emit}"


def _two(p: Project, rng: Random) -> str:
    return f": {edit(p, rng)}, {edit(p, rng)}"


EDITS: dict[str, Callable[[Project, Random], str | None]] = {
    "number": _number,
    "another number": _number,
    "kind": _kind,
    "another kind": _kind,
    "callee": _callee,
    "attribute": _attribute,
    "another attribute": _attribute,
    "static": _static,
    "namesake": _namesake,
    "alias": _alias,
    "word": _word,
    "move": _move,
    "variable": _variable,
    "another variable": _variable,
    "other variable": _other_variable,
    "order": _order,
    "file": _file,
    "above": _above,
    "gap": _gap,
    "another gap": _gap,
    "debug": _debug,
    "folder": _folder,
    "turn": _turn,
    "define": _define,
    "flag": _flag,
    "header": _header,
    "level": _level,
    "limit": _limit,
    "emit": _emit,
    "two": _two,
}


class History:
    """A project, and what it was before."""

    def __init__(self, seed: int, *, calm: bool = False) -> None:
        self.rng = Random(seed)
        self.project = random_project(self.rng, calm=calm)
        self._past = [copy.deepcopy(self.project)]

    def step(self) -> str:
        """Edits the project, or takes it back to what it was some edits ago."""
        if len(self._past) > 1 and self.rng.random() < 0.15:
            back = self.rng.randint(1, min(4, len(self._past) - 1))
            self.project = copy.deepcopy(self._past[-1 - back])
            said = f"back by {back}"
        else:
            said = edit(self.project, self.rng)
        self._past.append(copy.deepcopy(self.project))
        return said


OUTPUTS = {
    "exe": "app",
    "shared": "app.so",
    "object": "app.o",
    "archive": "app.a",
    "asm": "app.s",
    "bitcode": "app.bc",
}
#: What changed as shortly before a build as this counts as changed during it, and then nothing is noted.
SETTLED_SECONDS = 0.03


class Trial:
    """A project in a folder, built after each edit with a cache that all builds share, and without any.

    Builds are forks of this process, as users' processes would run: what they answer without building counts.
    """

    def __init__(self, seed: int, space: Path, *, calm: bool = False) -> None:
        """`calm`: the project is one whose plan mostly stands."""
        self.history = History(seed, calm=calm)
        self.followed = 0  # how many edits were planned by the last plan
        self.compared = 0  # how many kept plans were held against those from nothing
        self.space = space
        self.said = "the first build"
        self.commands: list[str] = []
        for name in ("warm", "cold", "clang"):
            (space / name).mkdir(parents=True)

    def edit(self) -> None:
        self.said = self.history.step()

    def check(self, *, behaviour: bool = True) -> list[str]:
        """Builds the project as it is now. What is wrong with that, a line each."""
        project, rng = self.history.project, self.history.rng
        self._write(project.sources())
        time.sleep(SETTLED_SECONDS)
        output = OUTPUTS[project.emit]
        words = [*project.command(), *project.options, "--emit", project.emit]
        words += ["--llvm", "llvmlite"] if rng.random() < 0.1 else []
        self.commands.append(
            f"# {self.said}\ncd {shlex.quote(project.folder)}; nativecache build {shlex.join(words)}"
        )
        workers, others = rng.sample(["-j1", "-j2"], 2)
        figures = self.space / "figures.json"
        figures.unlink(missing_ok=True)
        told = ["--cache-dir", "../cache", "--stats-json", "../figures.json"]
        warm = self._build([*words, workers, *told, "-o", f"../warm/{output}"])
        stood = "up to date" in (self.space / "log").read_text()  # then the plan is of other sources
        phases = json.loads(figures.read_text())["phases"] if figures.exists() else {}
        followed = "plan" in phases and "index" not in phases
        self.followed += followed
        cold = self._build([*words, others, "--no-cache", "-o", f"../cold/{output}"])
        if warm or cold:
            return [f"with the cache: {warm or 'built'}, without: {cold or 'built'}"]
        if (self.space / "warm" / output).read_bytes() != (self.space / "cold" / output).read_bytes():
            return ["with the cache it is another output than without"]
        if not stood and (problem := self._compare_plans(words, output, followed=followed)):
            return [problem]
        if not behaviour or project.emit in ("shared", "bitcode"):
            return []
        return self._compare(project, output)

    def _compare_plans(self, words: list[str], output: str, *, followed: bool) -> str:
        """Whether the plan that was kept is another one than the plan that is made from nothing.

        Where none is kept of a build from nothing (not `followed`), the one of an earlier build stays.
        """
        key = plan_recipe(self._sources / "../warm" / output).key()
        path = entry_path(str(self.space / "cache"), key)
        if not os.path.exists(path):
            return ""
        kept = unseal(key, Path(path).read_bytes())[0]
        os.unlink(path)
        again = [*words, "-v", "--cache-dir", "../cache", "-o", f"../warm/{output}"]
        if problem := self._build(again):
            return f"from nothing: {problem}"
        anew = unseal(key, Path(path).read_bytes())[0] if os.path.exists(path) else b""
        self.compared += 1
        return (
            ""
            if kept == anew or not (anew or followed)
            else "the plan that was kept is another one than from nothing"
        )

    @property
    def _sources(self) -> Path:
        return self.space / self.history.project.folder

    def _write(self, sources: dict[str, str]) -> None:
        self._sources.mkdir(exist_ok=True)
        for old in self._sources.iterdir():
            if old.name not in sources:
                old.unlink()
        for name, text in sources.items():
            path = self._sources / name
            if not path.exists() or path.read_text() != text:
                path.write_text(text)

    def _build(self, words: list[str]) -> str:
        """What went wrong, if anything."""
        log = self.space / "log"
        process = multiprocessing.get_context("fork").Process(target=_build, args=(self._sources, log, words))
        process.start()
        process.join()
        return f"exit code {process.exitcode}: {log.read_text()[-500:]}" if process.exitcode else ""

    def _compare(self, project: Project, output: str) -> list[str]:
        driver = "clang++-22" if any(name.endswith(".cpp") for name in project.names()) else CLANG
        flags = [word for word in project.command() if word not in project.names()]
        objects = []
        for name in project.names():
            objects.append(f"../clang/{name}.o")
            command = [CLANG, *flags, "-w", "-c", name, "-o", objects[-1]]
            subprocess.run(command, cwd=self._sources, check=True, timeout=100)
        theirs = self._link(driver, objects, "clang/app")
        image = self.space / "warm" / output
        if project.emit != "exe":
            image = self._link(
                driver, ["-Wl,--whole-archive", f"../warm/{output}", "-Wl,--no-whole-archive"], "ours"
            )
        expected, actual = run(theirs), run(image)
        return [] if actual == expected else [f"{actual}, clang's: {expected}"]

    def _link(self, driver: str, words: list[str], image: str) -> Path:
        command = [driver, *words, "-o", f"../{image}"]
        subprocess.run(command, cwd=self._sources, check=True, timeout=100, capture_output=True)
        return self.space / image


def _build(folder: Path, log: Path, words: list[str]) -> None:
    enter(folder, log)
    sys.argv = by_function(["nativecache", "build", *words])
    start.main()
