"""Random C++ programs whose files name more and fewer inline functions and templates at each edit.

Files include a header with templates, inline functions, classes with virtual functions and inline variables
that call one another. An edit changes which of them a file names and how often, so that copies come to it and
go, the first file's prevails in another file than before, and one call reaches what several did.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from edits import SETTLED_SECONDS
from programs import Trial as ProgramTrial

#: What a file may name, by how it is called with a number for `$`.
USES = {
    "small": "small(n + $)",
    "middle": "middle(n ^ $)",
    "large": "large(n * $)",
    "stamped": "stamped<$>(n)",
    "nested": "nested<$>(n)",
    "twice": "twice<$>(n)",
    "counted": "counted(n + $)",
    "virtual": "ask(Shape<$>(n))",
    "made": "make<$>()->ask(n)",
    "kept": "Held<$>::value",
    "lambda": "applied([](int k) { return stamped<$>(k) + 1; }, n)",
    "vector": "filled<$>(n)",
    "thrown": "guarded<$>(n)",
    "local": "own$(n)",
}
HEADER = """#pragma once
#include <stdexcept>
#include <vector>
#include <memory>
extern "C" int printf(const char *, ...);
inline int small(int n) {{ return n * {value} + 1; }}
inline int middle(int n) {{ return small(n) ^ small(n + 2); }}
{words} inline int large(int n) {{
  int sum = n;
  for (int i = 0; i < 9; i++) {{ sum += middle(sum + i); printf("%d ", sum & {value}); }}
  return sum;
}}
inline int counted(int n) {{ static int count = small(1); count += n; return count; }}
template <int N> int stamped(int n) {{ return N % 3 ? n * N + small(n) : middle(n) + N; }}
template <int N> int nested(int n) {{ return stamped<N + 1>(n) + (N > 2 ? large(n) : 0); }}
template <int N> __attribute__((noinline)) int twice(int n) {{ return nested<N>(n) + nested<N>(n + 1); }}
struct Base {{ virtual int ask(int n) {{ return small(n); }} virtual ~Base() {{}} }};
template <int N> struct Shape : Base {{
  int held; Shape(int n = N) : held(n) {{}}
  int ask(int n) override {{ return held + stamped<N>(n); }}
}};
inline int ask(Base &&one) {{ return one.ask(7) + {value}; }}
template <int N> std::shared_ptr<Base> make() {{ return std::make_shared<Shape<N>>(N); }}
template <int N> struct Held {{ static inline int value = N + {value}; }};
template <class F> int applied(F f, int n) {{ return f(n) + f(n + 1); }}
template <int N> int filled(int n) {{
  std::vector<Shape<N>> all; for (int i = 0; i < (n & 7); i++) all.emplace_back(i);
  int sum = 0; for (auto &one : all) sum += one.ask(n); return sum;
}}
template <int N> int guarded(int n) {{
  try {{ if (n & N) throw std::runtime_error("odd"); return stamped<N>(n); }}
  catch (const std::exception &) {{ return small(N); }}
}}
"""


class Trial(ProgramTrial):
    """Files of one program that name more and fewer of what their header has."""

    def __init__(self, seed: int, space: Path) -> None:
        rng = Random(seed)
        flags = ["-O2"], ["-O2"], ["-O1", "-fPIC"], ["-O2", "-g"], ["-O2", "--import-limit", "0"], ["-Os"]
        self.count = rng.randint(2, 7)
        super().__init__(seed, space)
        self.rng, self.flags = rng, [*rng.choice(flags)]
        self.emit = rng.choice(("exe", "exe", "exe", "shared"))
        self.value, self.words = 5, ""
        self.used = [[self._use() for _ in range(rng.randint(0, 4))] for _ in range(self.count)]
        self.order = list(range(self.count))

    def _use(self) -> tuple[str, int]:
        return self.rng.choice(list(USES)), self.rng.randint(1, 6)

    def edit(self) -> str:
        """Changes what a file names, mostly, and says how."""
        rng = self.rng
        change = rng.choice(("more", "more", "fewer", "fewer", "other", "swap", "value", "words", "order"))
        uses = self.used[rng.randrange(self.count)]
        if change == "more":
            uses.insert(rng.randint(0, len(uses)), self._use())
        elif change == "fewer" and uses:
            uses.pop(rng.randrange(len(uses)))
        elif change == "other" and uses:
            uses[rng.randrange(len(uses))] = self._use()
        elif change == "swap":  # from one file to another
            if uses:
                self.used[rng.randrange(self.count)].append(uses.pop())
        elif change == "value" and rng.random() < 0.3:
            self.value = rng.randint(2, 9)
        elif change == "words" and rng.random() < 0.3:
            self.words = rng.choice(("", "__attribute__((noinline))", "__attribute__((cold))"))
        elif change == "order" and rng.random() < 0.2:
            rng.shuffle(self.order)
        return f"{change}: {self.used}"

    def sources(self) -> dict[str, str]:
        """The files' texts by name."""
        texts = {"all.h": HEADER.format(value=self.value, words=self.words)}
        for i, uses in enumerate(self.used):
            numbers = sorted({number for kind, number in uses if kind == "local"})
            lines = [f"static int own{n}(int n) {{ return stamped<{n}>(n) * {n}; }}" for n in numbers]
            lines += [
                f"int use{i}_{k}(int n) {{ return {USES[kind].replace('$', str(number))}; }}"
                for k, (kind, number) in enumerate(uses)
            ]
            calls = "".join(f" + use{i}_{k}(n)" for k in range(len(uses)))
            lines.append(f"int all{i}(int n) {{ return n{calls}; }}")
            texts[f"f{i}.cpp"] = '#include "all.h"\n' + "\n".join(lines) + "\n"
        declared = "".join(f"int all{i}(int); " for i in range(self.count))
        said = "".join(f' printf("%d\\n", all{i}(n));' for i in range(self.count))
        texts["main.cpp"] = (
            f'extern "C" int printf(const char *, ...);\n{declared}\n'
            f"int main(int n, char **) {{{said} return 0; }}\n"
        )
        return texts

    def check(self) -> list[str]:
        """Builds the program once more. What is wrong with that, a line each."""
        said = self.edit()
        checkout = self.space / "here"
        checkout.mkdir(exist_ok=True)
        for name, text in self.sources().items():
            path = checkout / name
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
        time.sleep(SETTLED_SECONDS)
        words = [*(f"f{i}.cpp" for i in self.order), "main.cpp", *self.flags, "--emit", self.emit]
        output = checkout / f"app.{self.emit}"
        self.commands.append(f"# {said}\nnativecache build {shlex.join(words)} -o {output.name}")
        return self._compare(checkout, words, output)


def main() -> None:
    """`copies.py FIRST LAST [STEPS]` tries programs by number."""
    first, last, *rest = map(int, sys.argv[1:])
    for seed in range(first, last + 1):
        space = Path(tempfile.mkdtemp(prefix=f"copies-{seed}-"))
        trial = Trial(seed, space / "pool")
        for step in range(rest[0] if rest else 15):
            if problems := trial.check():
                print(f"{seed}.{step}: {space}", *trial.commands[-4:], *problems, sep="\n")
                break
        else:
            shutil.rmtree(space)
        print(f"{seed}: {trial.followed} followed, {trial.compared} compared", *trial.flags, flush=True)


if __name__ == "__main__":
    os.environ.pop("NATIVECACHE_DIR", None)
    main()
