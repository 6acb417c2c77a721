"""Random programs, built by clang and by nativecache in many ways, must all do the same.

`torture.py N [--seed S]` tries programs S, S+1, … S+N-1 of csmith. Each is built by clang at -O0 and -O2,
then by nativecache with the default imports, without any, and at a random limit, each at a random level:
every image has to behave as those of clang do, and has to be the same bytes cold, warm and with another
number of workers. What differs is kept with the command lines that reproduce it, and the exit code is 1.

`torture.py N --edits` tries N small projects of C and C++ files instead, each with STEPS random edits: after
each one a build with the cache that all of them share has to write the bytes that one without a cache does.

`torture.py N --faults` has N system calls on the cache folder fail, each in a run of its own (see faults.py).
"""

import argparse
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from shutil import rmtree

from edits import Trial
from faults import every_fault, scenes, why_not
from harness import CLANG, clean_environment, has_tool
from stores import KINDS

# Most of csmith's programs end at once and the others hardly ever.
RUN_SECONDS = 5
BUILD_SECONDS = 300
# Builds of one project.
STEPS = 30
SOURCE = "random.c"
INCLUDE = "-I/usr/include/csmith"
NATIVECACHE = (sys.executable, "-m", "nativecache.cli.start", "build", "-q")

Behaviour = tuple[int, bytes]


class Skip(Exception):
    """A program that says nothing about nativecache; the text says why."""


@dataclass
class Program:
    """One random program in a folder of its own, and the command lines run so far."""

    seed: int
    folder: Path
    commands: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def call(self, command: Sequence[str], seconds: int) -> subprocess.CompletedProcess[bytes]:
        self.commands.append(shlex.join(command))
        return subprocess.run(
            command,
            cwd=self.folder,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
        )

    def behaviour(self, image: str) -> Behaviour:
        done = self.call([f"./{image}"], RUN_SECONDS)
        return done.returncode, done.stdout

    def clang(self, level: str) -> Behaviour:
        """What the program does as clang builds it; raises Skip where that says nothing."""
        image = f"clang{level}"
        try:
            if self.call([CLANG, level, "-w", INCLUDE, SOURCE, "-o", image], BUILD_SECONDS).returncode:
                raise Skip("clang fails")
            return self.behaviour(image)
        except subprocess.TimeoutExpired:
            raise Skip("runs too long") from None

    def build(self, image: str, cache: str, options: Sequence[str]) -> bool:
        """Build with nativecache; a failure is a difference."""
        command = [*NATIVECACHE, "--cache-dir", cache, INCLUDE, *options, SOURCE, "-o", image]
        try:
            done = self.call([*command, "--cflag=-w"], BUILD_SECONDS)
        except subprocess.TimeoutExpired:
            self.differences.append(f"{image}: not built within {BUILD_SECONDS} s")
            return False
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip().splitlines()
            self.differences.append(f"{image}: exit code {done.returncode}: {words[-1:]}")
        return done.returncode == 0

    def check(self, image: str, expected: Behaviour) -> None:
        try:
            actual = self.behaviour(image)
        except subprocess.TimeoutExpired:
            self.differences.append(f"{image}: does not end within {RUN_SECONDS} s")
            return
        if actual != expected:
            self.differences.append(f"{image}: {describe(actual)}, clang's: {describe(expected)}")

    def check_same_bytes(self, image: str, other: str) -> None:
        if (self.folder / image).read_bytes() != (self.folder / other).read_bytes():
            self.differences.append(f"{image} and {other} are different bytes")


def describe(behaviour: Behaviour) -> str:
    code, output = behaviour
    return f"exit code {code}, {output[-60:].decode(errors='replace').strip()!r}"


def torture(program: Program) -> None:
    """Build and run one program in every way; differences are noted in the program. Raises Skip."""
    rng = Random(program.seed)
    try:
        made = program.call(["csmith", "--seed", str(program.seed), "-o", SOURCE], 60)
    except subprocess.TimeoutExpired:
        raise Skip("csmith does not end") from None
    if made.returncode:
        raise Skip("csmith fails")
    expected = program.clang("-O0")
    if program.clang("-O2") != expected:
        raise Skip("clang's -O0 and -O2 differ")
    variants: list[tuple[str, list[str]]] = [
        ("default", ["--granularity", "function"]),
        ("none", ["--import-limit", "0"]),
        ("random", ["--granularity", "function", "--import-limit", str(rng.randint(1, 200))]),
    ]
    for name, flags in variants:
        options = [f"-O{rng.choice((0, 1, 1, 2, 2, 2, 3, 3))}", *flags]
        workers, others = rng.sample(["-j1", "-j2"], 2)
        # One cache for all variants: entries of other options must not be taken.
        if not program.build(name, "cache", [workers, *options]):
            continue
        program.check(name, expected)
        if program.build(f"{name}-warm", "cache", [others, *options]):
            program.check_same_bytes(name, f"{name}-warm")
        if name != "none" and program.build(f"{name}-fresh", f"cache-{name}", [others, *options]):
            program.check_same_bytes(name, f"{name}-fresh")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("programs", type=int, metavar="N", help="how many programs")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of the first program (1)")
    parser.add_argument("--edits", action="store_true", help="edit projects at random instead")
    parser.add_argument("--faults", action="store_true", help="have N system calls fail instead")
    arguments = parser.parse_args()
    if arguments.faults:
        return torture_calls(arguments.programs)
    for tool in (CLANG, "csmith"):
        if not has_tool(tool):
            print(f"skipped: no {tool}")
            return 0

    kept = Path(tempfile.mkdtemp(prefix="nativecache-torture-"))
    if arguments.edits:
        return torture_projects(range(arguments.seed, arguments.seed + arguments.programs), kept)
    skipped: Counter[str] = Counter()
    different = 0
    start = time.monotonic()
    for number, seed in enumerate(range(arguments.seed, arguments.seed + arguments.programs), 1):
        program = Program(seed, kept / f"seed-{seed}")
        program.folder.mkdir()
        try:
            torture(program)
        except Skip as reason:
            skipped[str(reason)] += 1
        if program.differences:
            different += 1
            report(program)
        else:
            rmtree(program.folder)
        if number % 10 == 0 or number == arguments.programs:
            text = f"{number} programs in {time.monotonic() - start:.0f} s, {different} with differences"
            counts = [f"{count} skipped: {reason}" for reason, count in skipped.items()]
            print(", ".join([text, *counts]), flush=True)
    if different:
        print(f"{different} of {arguments.programs} programs differ; they are in {kept}")
        return 1
    kept.rmdir()
    return 0


def torture_projects(seeds: Sequence[int], kept: Path) -> int:
    """Edit and build each project; one that is built wrongly is kept as it was then."""
    different = 0
    for seed in seeds:
        trial = Trial(seed, kept / f"seed-{seed}")
        problems: list[str] = []
        for step in range(STEPS):
            if step:
                trial.edit()
            try:
                problems = trial.check()
            except subprocess.SubprocessError as error:
                problems = [
                    str(error),
                    (getattr(error, "stderr", b"") or b"").decode(errors="replace")[-500:],
                ]
            if problems:
                break
        if problems:
            different += 1
            print(
                f"\nseed {seed}, step {step} in {trial.space}:", *problems, *trial.commands[-3:], sep="\n  "
            )
        else:
            rmtree(trial.space)
        print(f"project {seed}: {step + 1} builds", flush=True)
    if not different:
        kept.rmdir()
    return 1 if different else 0


def torture_calls(most: int) -> int:
    """Have up to so many calls on the cache folder fail, as evenly spread over all as can be."""
    if why_not():
        print(f"skipped: {why_not()}")
        return 0
    kept = Path(tempfile.mkdtemp(prefix="nativecache-faults-"))
    for kind in KINDS:
        (kept / kind.name).mkdir()
    all_scenes = [scene for kind in KINDS for scene in scenes(kept / kind.name, kind)]
    all_faults = [(scene, call, fault) for scene in all_scenes for call, fault in every_fault(scene)]
    chosen = all_faults[:: max(1, len(all_faults) // most)]
    different = unmet = 0
    for number, (scene, call, fault) in enumerate(chosen, 1):
        done, met = scene.fail(call, fault)
        unmet += not met
        if met and (problems := list(scene.problems(done, fault))):
            different += 1
            print(f"\n{scene.name}: {fault}: {call.line}", *problems, sep="\n  ", flush=True)
        if number % 100 == 0 or number == len(chosen):
            text = f"{number} of {len(all_faults)} faults, {unmet} missed their call"
            print(f"{text}, {different} with differences", flush=True)
    rmtree(kept)
    return 1 if different else 0


def report(program: Program) -> None:
    print(f"\nseed {program.seed}: {len(program.differences)} differences")
    for difference in program.differences:
        print(f"  {difference}")
    print(f"to reproduce:\n  cd {program.folder} && rm -r cache*")
    for command in program.commands:
        print(f"  {command}")
    print(flush=True)


if __name__ == "__main__":
    sys.exit(main())
