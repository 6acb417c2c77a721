"""G(n): a generated program of n functions of 20 to 200 lines of LLVM IR with calls, globals and strings."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

HEAD = 'target triple = "x86_64-pc-linux-gnu"\n\ndeclare i32 @puts(ptr)\n\n'
OPERATIONS = ("add", "sub", "mul", "xor", "or", "and", "lshr")
# The constant of fixed width by which one function is edited in place.
MARK = "  %edit = xor i64 %x, "
DIGITS = 9


@dataclass(frozen=True)
class Generated:
    """A program in a file, and where in it the constants to edit are."""

    file: Path
    places: tuple[int, ...]

    def edit(self, number: int) -> None:
        """Edit one function, another one or in another way for every number."""
        place = self.places[(number * 7919 + 13) % len(self.places)]
        with self.file.open("r+b") as file:
            file.seek(place)
            file.write(b"%0*d" % (DIGITS, 500_000_000 + number))


def generate(functions: int, file: Path) -> Generated:
    """Write G(`functions`); the same number gives the same program."""
    rng = Random(functions)
    places = []
    with file.open("wb") as out:
        out.write(HEAD.encode())
        for n in range(max(1, functions // 4)):
            text = f"function {n} of {functions} was reached with an unlikely number"
            out.write(b"@g%d = internal global i64 %d, align 8\n" % (n, rng.randrange(1 << 20)))
            out.write(b'@s%d = private unnamed_addr constant [%d x i8] c"' % (n, len(text) + 1))
            out.write(text.encode() + b'\\00", align 1\n')
        for n in range(functions):
            text = "".join(f"{line}\n" for line in _function(rng, n, functions))
            places.append(out.tell() + text.index(MARK) + len(MARK))
            out.write(text.encode())
        out.write(b"define i32 @main() {\n  %r = call i64 @f0(i64 1)\n  %t = trunc i64 %r to i32\n")
        out.write(b"  %m = and i32 %t, 63\n  ret i32 %m\n}\n")
    return Generated(file, tuple(places))


def _function(rng: Random, number: int, functions: int) -> Iterator[str]:
    """One function. It calls its two children in a binary tree, and others where a number is unlikely."""
    lines = rng.randint(20, 200)
    children = [child for child in (2 * number + 1, 2 * number + 2) if child < functions]
    few = max(1, functions // 4)
    yield f"\ndefine internal i64 @f{number}(i64 %x) {{"
    yield "entry:"
    yield "  %slot = alloca i64, align 8"
    yield f"{MARK}{rng.randrange(10**DIGITS):0{DIGITS}d}"
    yield "  store i64 %edit, ptr %slot, align 8"
    done, k, value = 6, 0, "%edit"
    while done < lines - 2 or children:
        k += 1
        kind = rng.random()
        if children and (kind < 0.1 or done >= lines - 2):
            yield f"  %v{k} = call i64 @f{children.pop()}(i64 {value})"
            done += 1
        elif kind < 0.6:
            operation, constant = rng.choice(OPERATIONS), rng.randrange(1, 64)
            yield f"  %v{k} = {operation} i64 {value}, {constant}"
            done += 1
        elif kind < 0.85:
            name = rng.randrange(few)
            yield f"  %l{k} = load i64, ptr @g{name}, align 8"
            yield f"  %v{k} = add i64 %l{k}, {value}"
            yield f"  store i64 %v{k}, ptr @g{name}, align 8"
            done += 3
        else:
            yield f"  %c{k} = icmp eq i64 {value}, {rng.randrange(1 << 60)}"
            yield f"  br i1 %c{k}, label %then{k}, label %next{k}\n"
            yield f"then{k}:"
            if rng.random() < 0.5:
                yield f"  %r{k} = call i64 @f{rng.randrange(functions)}(i64 {value})"
                yield f"  store i64 %r{k}, ptr %slot, align 8"
            else:
                yield f"  %p{k} = call i32 @puts(ptr @s{rng.randrange(few)})"
                yield f"  store i64 {k}, ptr %slot, align 8"
            yield f"  br label %next{k}\n"
            yield f"next{k}:"
            yield f"  %l{k} = load i64, ptr %slot, align 8"
            yield f"  %v{k} = sub i64 {value}, %l{k}"
            done += 9
        value = f"%v{k}"
    yield f"  ret i64 {value}"
    yield "}"
