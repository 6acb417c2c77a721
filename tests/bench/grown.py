"""B16: what the same edit costs in programs of more and more files, front end and link left out.

The program is C as people write it: files of ten to twenty functions, static ones among them, that call into
other files through headers, with globals, tables and strings, and one header that all include.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from shutil import rmtree
from statistics import median

from bench.measure import Row, call
from harness import CLANG

#: How many files the programs have.
SIZES = (10, 100, 1000)

SHARED = """\
#ifndef SHARED_H
#define SHARED_H
#include <stdio.h>
#include <string.h>

struct state {
  long total;
  unsigned seed;
  char name[32];
  int depth;
};

#define LIMIT 40
#define MIX(x) (((x) ^ ((x) >> 7)) * 2654435761u)

static inline unsigned next(struct state *s) {
  s->seed = MIX(s->seed) + 12345u;
  return s->seed;
}
#endif
"""

#: The functions of a file by their kind. @f: the file's number, @n: the function's, @a, @b: constants.
KINDS = (
    """\
static long step@f_@n(struct state *s, long x) {
  for (int i = 0; i < (int)(x & 7) + @a; i++)
    x += table@f[(x + i) & 7] ^ (long)next(s);
  if (x == @b)
    printf("file @f: step @n was reached with %ld\\n", x);
  return x + calls@f++;
}
""",
    """\
static void name@f_@n(struct state *s, long x) {
  if ((x & 1023) == @a) {
    snprintf(s->name, sizeof s->name, "@f.@n.%ld", x & 255);
    s->total += (long)strlen(s->name);
  }
  s->total ^= x * @b;
}
""",
    """\
static long choose@f_@n(struct state *s, long x) {
  switch (x % 5) {
  case 0: return s->total + @a;
  case 1: return x * @b;
  case 2: fputs(x == @b ? "file @f chose two\\n" : "", stdout); return x - @a;
  case 3: s->seed ^= @b; return calls@f;
  }
  return x >> 1;
}
""",
)

NAMES = ("step", "name", "choose")
#: What is edited: a constant in a function of a file in the middle.
MARK = "x ^= {n}; /* edit */"


def generate_files(count: int, folder: Path) -> Path:
    """Write a program of `count` files; returns the one to edit."""
    rng = Random(count)
    folder.mkdir(parents=True)
    (folder / "shared.h").write_text(SHARED)
    for number in range(count):
        text = f'#include "shared.h"\nlong run{number}(struct state *s, long x);\n'
        text += f"long weigh{number}(const struct state *s, long x);\n"
        (folder / f"file{number}.h").write_text(text)
        (folder / f"file{number}.c").write_text(file_text(rng, number, count))
    main = '#include "shared.h"\n#include "file0.h"\n\nint main(void) {\n  struct state s = {1, 2, "", 0};\n'
    main += '  printf("%ld %u\\n", run0(&s, 3), s.seed);\n  return 0;\n}\n'
    (folder / "main.c").write_text(main)
    return folder / f"file{count // 2}.c"


def file_text(rng: Random, number: int, count: int) -> str:
    """A file of ten to twenty functions. The last one calls the others and two files', a binary tree."""
    children = [child for child in (2 * number + 1, 2 * number + 2) if child < count]
    # Others call it, too: a function of one caller is compiled with that.
    others = [rng.randrange(count) for _ in range(3)]
    headers = dict.fromkeys((number, *children, *others))
    text = '#include "shared.h"\n' + "".join(f'#include "file{n}.h"\n' for n in headers)
    values = ", ".join(str(rng.randrange(1000)) for _ in range(8))
    text += f"\nlong calls{number};\nstatic const long table{number}[8] = {{{values}}};\n\n"
    body = "  " + MARK.replace("{n}", str(rng.randrange(1000, 10_000))) + "\n"
    for n in range(rng.randint(9, 19)):
        kind = rng.randrange(3)
        words = {"@f": number, "@n": n, "@a": rng.randrange(1, 20), "@b": rng.randrange(1000, 100_000)}
        function = KINDS[kind]
        for word, figure in words.items():
            function = function.replace(word, str(figure))
        text += function + "\n"
        result = "" if kind == 1 else "x += "
        body += f"  {result}{NAMES[kind]}{number}_{n}(s, x);\n"
    body += "".join(f"  if (s->depth < LIMIT)\n    x += run{child}(s, x);\n" for child in children)
    for other in others:
        body += f"  if (x == {rng.randrange(1000, 10_000)} && s->depth < LIMIT)\n    x += run{other}(s, x);\n"
        body += f"  x -= weigh{other}(s, x);\n"
    text += f"long weigh{number}(const struct state *s, long x) {{\n"
    text += f"  return x < s->total ? x % {rng.randrange(3, 99)} : s->depth + calls{number};\n}}\n\n"
    text += f"long run{number}(struct state *s, long x) {{\n  s->depth++;\n{body}  s->depth--;\n"
    return text + "  s->total += x;\n  return x;\n}\n"


def edit_file(file: Path, number: int) -> None:
    """Give the file's constant another value."""
    head, mark, tail = file.read_text().partition("x ^= ")
    file.write_text(f"{head}{mark}{100_000 + number};{tail.partition(';')[2]}")


def rows_of_growth(space: Path, sizes: Sequence[int], pairs: int) -> Iterator[Row]:
    """A row for each size, and one for each but the first against that."""
    figures: list[float] = []
    for count in sizes:
        folder = space / "src"
        edited = generate_files(count, folder)
        sources = [path.name for path in sorted(folder.glob("*.c"))]
        ours = [sys.executable, "-m", "nativecache.cli.start", "build", "-q", "-O2", "-o", "../program"]
        ours += ["--cache-dir", "../cache", "--stats-json", "../stats.json", *sources]
        front = [
            CLANG,
            "-O2",
            "-Xclang",
            "-disable-llvm-passes",
            "-S",
            "-emit-llvm",
            edited.name,
            "-o",
            "../front.ll",
        ]
        cold = call(ours, folder)
        yield Row(bar="B16", what=f"{count} files cold: CPU", ours=cold.cpu)
        rests, wholes, fronts, links = [], [], [], []
        for pair in range(pairs):
            edit_file(edited, pair)
            wholes.append(call(ours, folder).cpu)
            phases = json.loads((space / "stats.json").read_text())["phases"]
            links.append(float(phases["link"]["cpu"]))
            fronts.append(call(front, folder).cpu)
            rests.append(wholes[-1] - fronts[-1] - links[-1])
        figures.append(median(rests))
        what = f"{count} files, one edited: front + link, all, rest"
        limit = median(fronts) + median(links)
        yield Row(bar="B16", what=what, peer=limit, ours=median(wholes), ratio=figures[-1])
        rmtree(space)
    for count, figure in zip(sizes[1:], figures[1:], strict=True):
        what = f"the rest, {count} files ÷ {sizes[0]} files"
        goal = "<= 1.5" if count == sizes[-1] else ""
        yield Row(bar="B16", what=what, ratio=figure / figures[0], goal=goal)
