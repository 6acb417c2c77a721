"""Random command lines: sources, objects, archives, libraries and options with state, in any order.

`python tests/tools/orders.py SEED COUNT [LINKER...]` builds that many and compares each with clang's:
whether it links, and what the program prints: the order of all constructors and whose weak definitions won.
"""

import random
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import CLANG, run
from rules import Build

#: By name as `--linker` takes it: the program that clang is to run, GNU ld where we may choose.
LINKERS = {"auto": "ld.bfd", "bfd": "ld.bfd", "lld": "ld.lld-22", "mold": "mold"}

_PART = """\
#include <stdio.h>
__attribute__((constructor)) static void begin_NAME(void) { puts("NAME"); }
__attribute__((weak)) const char *who(void) { return "NAME"; }
__attribute__((weak)) const char *first = "NAME";
int use_NAME(void) { return 1; }
"""
_CALLS = "int use_{other}(void);\nint call_{other}_NAME(void) {{ return use_{other}(); }}\n"
_MAIN = """\
#include <stdio.h>
const char *who(void);
extern const char *first;
DECLARED
int main(void) { printf("%s %s %d\\n", who(), first, 0 CALLED); }
"""


def _text(name: str, *others: str) -> str:
    calls = "".join(_CALLS.format(other=other) for other in others)
    return (_PART + calls).replace("NAME", name)


def prepare(space: Path) -> None:
    """Write sources, and make of them what random command lines name."""
    parts = {
        **{f"s{n}": _text(f"s{n}") for n in range(3)},
        **{f"o{n}": _text(f"o{n}") for n in range(2)},
        # Two archives whose members need each other, each with one that nobody needs.
        "a0": _text("a0", "b1"),
        "a1": _text("a1"),
        "b0": _text("b0", "a1"),
        "b1": _text("b1", "a1"),
        "l0": _text("l0"),
        "l1": _text("l1"),
    }
    for name, text in parts.items():
        (space / f"{name}.c").write_text(text)
    names = [f"{name}.c" for name in parts]
    subprocess.run([CLANG, "-O1", "-fPIC", "-w", "-c", *names], cwd=space, check=True)
    for archive, members in (("liba.a", "a0 a1"), ("libb.a", "b0 b1")):
        files = [f"{member}.o" for member in members.split()]
        subprocess.run(["ar", "rcs", archive, *files], cwd=space, check=True)
    for library, member in (("libl.so", "l0"), ("libk.so", "l1")):
        words = [CLANG, "-shared", f"{member}.o", f"-Wl,-soname,{library}", "-o", library]
        subprocess.run(words, cwd=space, check=True)
    for number, used in enumerate(("s0 a0", "o0 b0 l0", "b1", "")):
        names = used.split()
        text = _MAIN.replace("DECLARED", "".join(f"int use_{name}(void);" for name in names))
        (space / f"main{number}.c").write_text(
            text.replace("CALLED", "".join(f" + use_{name}()" for name in names))
        )


def command_line(chance: random.Random) -> list[str]:
    """Inputs and options in some order; what opens is closed, most of the time."""
    main = f"main{chance.randrange(4)}.c"
    items = [[main], *([f"s{n}.c"] for n in range(3) if chance.random() < 0.7)]
    items += [[f"o{n}.o"] for n in range(2) if chance.random() < 0.5]
    items += [[name] for name in ("liba.a", "libb.a", "libl.so", "libk.so") if chance.random() < 0.6]
    items += [[word] for word in ("-la", "-lb", "-l:libb.a", "-lk", "-lm") if chance.random() < 0.15]
    items += [["-Wl,-u,use_b0"], ["-u", "use_a0"]][: chance.choice((0, 0, 0, 1, 2))]
    chance.shuffle(items)
    for _ in range(chance.choice((0, 1, 1, 2))):
        before, after = chance.choice(_AROUND)
        at, size = chance.randrange(len(items)), chance.choice((1, 1, 2, 3))
        inside = [word for item in items[at : at + size] for word in item]
        items[at : at + size] = [[*before, *inside, *after]]
    words = [word for item in items for word in item]
    if chance.random() < 0.1:
        left_open = chance.choice(("-Wl,--as-needed", "-Wl,--whole-archive,liba.a"))
        words.insert(chance.randrange(len(words)), left_open)
        words.append("-Wl,--no-whole-archive")
    return words


_AROUND = (
    (["-Wl,--whole-archive"], ["-Wl,--no-whole-archive"]),
    (["-Xlinker", "--whole-archive"], ["-Xlinker", "--no-whole-archive"]),
    (["-Wl,--push-state", "-Wl,--whole-archive"], ["-Wl,--pop-state"]),
    (["-Wl,--push-state,--as-needed"], ["-Wl,--pop-state"]),
    (["-Wl,--as-needed"], ["-Wl,--no-as-needed"]),
    (["-Wl,--start-group"], ["-Wl,--end-group"]),
    (["-Wl,-("], ["-Wl,-)"]),
    (["-Wl,-Bstatic"], ["-Wl,-Bdynamic"]),
)


def compare_once(space: Path, words: list[str], linker: str) -> str:
    """Build both ways; an empty text, or how they differ. The folder was prepared."""
    common = ["-L.", f"-Wl,-rpath,{space}"]
    folder = space / "ours"
    folder.mkdir(exist_ok=True)
    for image in ("ours/app", "clang"):
        (space / image).unlink(missing_ok=True)
    built = Build.start(space, folder, *common, *words, "--linker", linker, "-O1", "-o", "ours/app")
    path = subprocess.run(["which", LINKERS[linker]], capture_output=True, text=True, check=True).stdout
    theirs = subprocess.run(
        [CLANG, "-w", "-O1", f"--ld-path={path.strip()}", *common, *words, "-o", "clang"],
        cwd=space,
        capture_output=True,
        text=True,
        timeout=60,
    )
    built.process.join(60)
    said = built.log.read_text()
    if (built.process.exitcode == 0) != (theirs.returncode == 0) or "Traceback" in said:
        return f"exit {built.process.exitcode}, clang's {theirs.returncode}\n{said}\n{theirs.stderr}"
    if theirs.returncode:
        return ""
    mine, clangs = run(space / "ours/app"), run(space / "clang")
    return "" if mine == clangs else f"{mine}\n{clangs}"


def main() -> None:
    seed, count, *linkers = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        space = Path(folder)
        prepare(space)
        for number in range(int(seed), int(seed) + int(count)):
            chance = random.Random(number)
            words = command_line(chance)
            linker = chance.choice(linkers or list(LINKERS))
            if difference := compare_once(space, words, linker):
                print(f"seed {number}, {linker}: {' '.join(words)}\n{difference}\n", flush=True)


if __name__ == "__main__":
    main()
