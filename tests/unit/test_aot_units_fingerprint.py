"""Equal fingerprints must give equal units: whatever a unit's text shows, its fingerprint shows."""

import random
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from harness import CLANG, needs_clang, needs_csmith
from pipeline import Pipeline, resolved_modules

from nativecache.aot.codegen import llvm
from nativecache.aot.errors import BuildError
from nativecache.aot.ir.module import index_module
from nativecache.aot.key import digest
from nativecache.aot.request import EmitKind
from nativecache.aot.units.bodies import SimplifiedBody, unit_body
from nativecache.aot.units.imports import ImportLimits
from nativecache.aot.units.module_fingerprints import ModuleFingerprints
from nativecache.aot.units.output_model import OutputModel
from nativecache.cache.lookup import EntryStore
from nativecache.cache.store import MemoryStore

LIMITS = ImportLimits(lines=12, total=60)

FIRST = r"""
%struct.S = type { i32, ptr }
%struct.T = type { i32, %struct.S }
$many = comdat any
$some = comdat any
@.str = private unnamed_addr constant [3 x i8] c"hi\00", align 1
@.str.1 = private unnamed_addr constant [4 x i8] c"you\00", align 1
@.str.2 = private unnamed_addr constant [4 x i8] c"you\00", align 1
@total = internal global i32 0, align 4
@shared = global i32 7, align 4
@limit = internal constant i32 42, align 4
@names = internal unnamed_addr constant [2 x ptr] [ptr @.str, ptr @.str.1], align 8
@table = internal constant [2 x ptr] [ptr @leaf, ptr @inner], align 8
@long = internal constant [8 x i32] [i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8], align 16
@local = internal thread_local global i32 0, align 4
@second = alias i32 (i32), ptr @leaf
@fixed = external constant i32, align 4
@chosen = linkonce_odr constant ptr @some, align 8
@odd = weak alias i32 (i32), ptr @inner
define internal i32 @leaf(i32 %0) #0 {
  %2 = add nsw i32 %0, 1
  ret i32 %2
}
define internal i32 @inner(i32 %0) #1 {
  %2 = call i32 @leaf(i32 %0)
  %3 = load i32, ptr @total, align 4, !tbaa !2
  %4 = add i32 %2, %3
  ret i32 %4
}
define internal i32 @only(i32 %0) #1 {
  %2 = call i32 @inner(i32 %0)
  %3 = call i32 @away(i32 %2)
  %4 = load i32, ptr @limit, align 4, !tbaa !2
  %5 = xor i32 %3, %4
  ret i32 %5
}
define internal i32 @must(i32 %0) #2 {
  %2 = call i32 @leaf(i32 %0)
  %3 = call i32 @inner(i32 %2)
  ret i32 %3
}
define linkonce_odr i32 @many(i32 %0) #3 comdat {
  %2 = call i32 @must(i32 %0)
  ret i32 %2
}
define weak i32 @some(i32 %0) #1 comdat {
  %2 = mul i32 %0, 3
  ret i32 %2
}
define available_externally i32 @given(i32 %0) #1 {
  %2 = call i32 @leaf(i32 %0)
  ret i32 %2
}
define i32 @strings(ptr %0) #1 {
  %2 = call i32 @puts(ptr @.str)
  %3 = call i32 @puts(ptr @.str.1)
  %4 = call i32 @puts(ptr @.str.1)
  %5 = getelementptr inbounds %struct.T, ptr %0, i32 0, i32 1, i32 1
  %6 = load ptr, ptr @names, align 8, !tbaa !5
  store ptr %6, ptr %5, align 8, !tbaa !5
  ret i32 %4
}
define i32 @loops(ptr noalias %0, i32 %1) #1 {
  br label %3
3:
  %4 = phi i32 [ 0, %2 ], [ %5, %3 ]
  %5 = add i32 %4, 1
  store i32 %4, ptr %0, align 4, !tbaa !2, !alias.scope !9, !noalias !10
  %6 = icmp eq i32 %5, %1
  br i1 %6, label %7, label %3, !llvm.loop !7
7:
  br label %8
8:
  %9 = phi i32 [ 0, %7 ], [ %10, %8 ]
  %10 = add i32 %9, 1
  %11 = call i32 @second(i32 %9)
  %12 = icmp eq i32 %10, %11
  br i1 %12, label %13, label %8, !llvm.loop !8
13:
  ret i32 0
}
define i32 @more(i32 %0) #1 {
  br label %2
2:
  %3 = call i32 @loops(ptr @shared, i32 %0)
  %4 = icmp eq i32 %3, 0
  br i1 %4, label %5, label %2, !llvm.loop !12
5:
  %6 = call i32 @odd(i32 %0)
  %7 = load ptr, ptr @table, align 8
  %8 = call i32 %7(i32 %6)
  ret i32 %8
}
define internal i32 @quote(i32 %0) #1 {
  %2 = call i32 @puts(ptr @.str.1)
  ret i32 %2
}
define i32 @quotes(i32 %0) #1 {
  %2 = call i32 @quote(i32 1)
  %3 = call i32 @puts(ptr @.str.1)
  %4 = load i32, ptr @fixed, align 4
  %5 = load ptr, ptr @chosen, align 8
  %6 = call i32 @other(i32 %4)
  %7 = call i32 %5(i32 %6)
  ret i32 %7
}
define i32 @longer(i32 %0) #1 {
  store volatile i32 0, ptr @shared, align 4
  store volatile i32 1, ptr @shared, align 4
  store volatile i32 2, ptr @shared, align 4
  store volatile i32 3, ptr @shared, align 4
  store volatile i32 4, ptr @shared, align 4
  store volatile i32 5, ptr @shared, align 4
  store volatile i32 6, ptr @shared, align 4
  store volatile i32 7, ptr @shared, align 4
  store volatile i32 8, ptr @shared, align 4
  store volatile i32 9, ptr @shared, align 4
  store volatile i32 10, ptr @shared, align 4
  ret i32 %0
}
define i32 @main() #1 {
  %1 = call i32 @only(i32 1)
  %2 = call i32 @many(i32 %1)
  %3 = call i32 @some(i32 %2)
  %4 = call i32 @given(i32 %3)
  %5 = call i32 @strings(ptr @shared)
  %6 = call i32 @more(i32 %5)
  %7 = load i32, ptr @long, align 16
  %8 = load i32, ptr @local, align 4
  %9 = call i32 @longer(i32 %8)
  %10 = call i32 @longer(i32 %9)
  call void asm sideeffect "nop # $0", "r"(i32 %10)
  ret i32 %7
}
declare i32 @puts(ptr noundef) #4
declare i32 @away(i32) #5
declare i32 @other(i32) #5
attributes #0 = { nounwind "target-cpu"="x86-64" }
attributes #1 = { nounwind uwtable }
attributes #2 = { alwaysinline nounwind }
attributes #3 = { inlinehint nounwind }
attributes #4 = { nounwind willreturn }
attributes #5 = { noinline nounwind }
!llvm.module.flags = !{!0, !1}
!0 = !{i32 1, !"wchar_size", i32 4}
!1 = !{i32 7, !"uwtable", i32 2}
!2 = !{!3, !3, i64 0}
!3 = !{!"int", !4, i64 0}
!4 = !{!"omnipotent char", !11, i64 0}
!5 = !{!6, !6, i64 0}
!6 = !{!"any pointer", !4, i64 0}
!7 = distinct !{!7, !13}
!8 = distinct !{!8, !13}
!9 = !{!14}
!10 = !{!15}
!11 = !{!"Simple C/C++ TBAA"}
!12 = distinct !{!12, !13}
!13 = !{!"llvm.loop.mustprogress"}
!14 = distinct !{!14, !16, !"first"}
!15 = distinct !{!15, !16, !"second"}
!16 = distinct !{!16}
"""

SECOND = r"""
%struct.S = type { i32, ptr }
$many = comdat any
@shared = external global i32, align 4
@.str = private unnamed_addr constant [4 x i8] c"you\00", align 1
@total = internal global i32 3, align 4
@fixed = linkonce_odr constant i32 5, align 4
@other = alias i32 (i32), ptr @leaf
define i32 @away(i32 %0) #0 {
  %2 = call i32 @leaf(i32 %0)
  %3 = call i32 @many(i32 %2)
  %4 = call i32 @puts(ptr @.str)
  ret i32 %4
}
define internal i32 @leaf(i32 %0) #0 {
  %2 = load i32, ptr @shared, align 4
  store i32 %2, ptr @total, align 4
  ret i32 %2
}
define linkonce_odr i32 @many(i32 %0) #1 comdat {
  %2 = sub i32 %0, 5
  ret i32 %2
}
declare i32 @puts(ptr noundef) #0
attributes #0 = { nounwind }
attributes #1 = { inlinehint nounwind }
"""

WORDS = [
    ("internal ", ""),
    ("weak_odr ", ""),
    ("linkonce_odr ", "weak_odr "),
    ("linkonce_odr ", ""),
    ("weak ", ""),
    (" noinline", ""),
    (" alwaysinline", ""),
    (" inlinehint", ""),
    ("unnamed_addr ", ""),
    (" constant", " global"),
    ("available_externally ", ""),
    ("nsw ", ""),
    (" uwtable", ""),
    ("thread_local ", ""),
    ("distinct ", ""),
    ("noalias ", ""),
    (" noundef", ""),
    ("internal ", "hidden "),
    ("define ", "define hidden "),
    ("you", "yow"),
    (", align 4", ""),
    ("i32 (i32), ptr @leaf", "i32 (i32), ptr @inner"),
    ("sideeffect ", ""),
    ("private", "internal"),
    (" comdat", ""),
    ("int", "long"),
    ("define ", "define fastcc "),
    ("add", "or"),
]
TOKENS = re.compile(r"(?<![\w])(?:[@!#]\w[\w.]*|%struct\.\w+|@\.str\.?\d*)")


def changes(texts: list[str], rng: random.Random) -> Iterator[list[str]]:
    """Each token, number, word and some lines changed in turn, one at a time; valid or not."""
    for n, text in enumerate(texts):
        spans: list[tuple[int, int, str]] = []
        tokens = list(TOKENS.finditer(text))
        for place in tokens:
            like = sorted({m[0] for m in tokens if m[0][0] == place[0][0]} - {place[0]})
            if like:
                spans.append((*place.span(), rng.choice(like)))
        numbers = re.finditer(r"(?<= )\d+(?=\n|,| \})", text)
        spans += [(*place.span(), str(int(place[0]) ^ 1)) for place in numbers]
        for old, new in WORDS:
            spans += [(*place.span(), new) for place in re.finditer(re.escape(old), text)]
        spans += [(*place.span(), "") for place in re.finditer(r"  store volatile .*\n", text)]
        for start, end, new in spans:
            yield [*texts[:n], text[:start] + new + text[end:], *texts[n + 1 :]]


def mutations(texts: list[str], rng: random.Random, share: float) -> Iterator[list[str]]:
    """The program, a share of its single changes, and changes on top of one of them."""
    yield texts
    last = texts
    for changed in changes(texts, rng):
        if rng.random() < share:
            yield changed
            if rng.random() < 0.2:
                yield rng.choice(list(changes(last, rng)))
            last = changed


def prepared(
    texts: list[str], limits: ImportLimits, *, kind: EmitKind = "exe", packs: EntryStore | None = None
) -> Pipeline:
    """Clean-ups come from `packs`, if given, by their text; fingerprints are made anew."""
    modules = [index_module(text, f"{n}.ll") for n, text in enumerate(texts)]
    made = resolved_modules(modules, OutputModel(kind))
    return made.simplify(limits, packs=packs).with_callers("main") if limits.lines else made


class Records:
    """What a build remembers of programs, and whether it would be right to trust it."""

    def __init__(
        self, limits: ImportLimits = LIMITS, *, kind: EmitKind = "exe", packs: EntryStore | None = None
    ) -> None:
        self.limits, self.kind, self.packs = limits, kind, packs
        self.units: dict[bytes, list[tuple[tuple[str, ...], bytes, str, list[str]]]] = defaultdict(list)
        self.clean_ups: dict[bytes, tuple[str, str, list[str]]] = {}
        self.hits = 0

    def check(self, texts: list[str]) -> None:
        """Each record that holds gives what this program gives; then it is recorded."""
        made = prepared(texts, self.limits, kind=self.kind, packs=self.packs)
        program, plain, fingerprints = made.program, made.fingerprints, made.import_fingerprints
        for unit in made.units:
            if unit.kind not in ("function", "data"):
                continue
            body = unit_body(program, made.candidates.bodies, unit)
            if unit.kind == "function" and self.limits.lines and body is None:
                continue
            if isinstance(body, SimplifiedBody):
                name, printed = plain.unit(unit.module, unit.tokens), str(body.printed, "latin-1")
                cleaned, bindings, where = self.clean_ups.setdefault(name, (printed, body.bindings, texts))
                assert (printed, body.bindings) == (cleaned, bindings), shown(where, texts)
            text = made.extract(unit)
            known = self.units[fingerprints.unit(unit.module, unit.tokens)]
            now = digest(*map(fingerprints.body, text.imported))
            for imported, then, known_text, known_program in known:
                # What a build does: trust a record while what was imported means what it did.
                if then == digest(*map(fingerprints.body, imported)):
                    self.hits += 1
                    assert text.text == known_text, shown(known_program, texts)
            if (text.imported, now) not in {record[:2] for record in known}:
                known.append((text.imported, now, text.text, texts))


def shown(one: list[str], other: list[str]) -> str:
    return "\n".join([*one, "and", *other])


@pytest.mark.parametrize(
    ("limits", "kind", "share"), [(LIMITS, "exe", 0.5), (ImportLimits(), "exe", 0.2), (LIMITS, "object", 0.2)]
)
def test_equal_meanings_give_equal_units(limits: ImportLimits, kind: EmitKind, share: float) -> None:
    rng = random.Random(f"{limits} {kind == 'exe'}")
    records = Records(limits, kind=kind)
    valid = 0
    for changed in mutations([FIRST, SECOND], rng, share):
        try:
            records.check([llvm.read_module(text.encode()) for text in changed])
        except (BuildError, ValueError):
            continue
        valid += 1
    assert valid > 150 * share and records.hits > valid * 4


def csmith_ir(space: Path, seed: int) -> str:
    """What clang's front end makes of one of csmith's smaller programs."""
    words = ["csmith", "--seed", str(seed), "--max-funcs", "5", "--max-block-depth", "2", "--no-checksum"]
    source = subprocess.run(words, capture_output=True, check=True, timeout=60, cwd=space).stdout
    command = [CLANG, "-O1", "-w", "-x", "c", "-I/usr/include/csmith", "-Xclang", "-disable-llvm-passes"]
    command += ["-S", "-emit-llvm", "-o", "-", "-"]
    done = subprocess.run(command, input=source, capture_output=True, check=True, timeout=60, cwd=space)
    return done.stdout.decode()


@needs_csmith
@needs_clang
def test_equal_meanings_give_equal_units_in_random_programs(tmp_path: Path) -> None:
    """The same over what clang makes of csmith's programs, with a number, a word or a token changed."""
    records = Records(packs=EntryStore(MemoryStore()))
    for seed in (3, 14, 15):
        text = csmith_ir(tmp_path, seed)
        rng = random.Random(seed)
        for changed in [[text], *rng.sample(list(changes([text], rng)), 25)]:
            with suppress(BuildError, ValueError):
                records.check([llvm.read_module(changed[0].encode())])
    assert records.hits > 1000


def check_all(*programs: list[str], limits: ImportLimits = LIMITS) -> None:
    """One program after the other, and back again."""
    records = Records(limits)
    for texts in (*programs, *programs[::-1]):
        records.check([llvm.read_module(text.encode()) for text in texts])


def test_a_library_function_that_only_the_clean_up_calls() -> None:
    """It makes `puts` of `printf`, and the program may define that."""
    says = """\
@.str = private unnamed_addr constant [4 x i8] c"hi\\0A\\00", align 1
define i32 @f() {
  %1 = call i32 (ptr, ...) @printf(ptr @.str)
  ret i32 0
}
declare i32 @printf(ptr, ...)
"""
    puts = "@n = global i32 0\ndefine i32 @puts(ptr %0) {\n  store i32 1, ptr @n\n  ret i32 0\n}\n"
    check_all([says, "@n = global i32 0\n"], [says, puts], [says, puts.replace("i32 1", "i32 2")])


def test_distinct_nodes_that_a_list_stands_for() -> None:
    text = """\
define void @f(ptr %0) {
  store i32 1, ptr %0, align 4, !alias.scope !0
  store volatile i32 2, ptr %0, align 4
  call void @g(ptr %0)
  ret void
}
define void @g(ptr %0) #0 {
  store i32 3, ptr %0, align 4, !alias.scope !0
  ret void
}
attributes #0 = { alwaysinline }
!0 = !{!2}
!1 = !{!3}
!2 = distinct !{!2, !4}
!3 = distinct !{!3, !4}
!4 = !{!"domain"}
"""
    other = text.replace("!alias.scope !0\n  ret", "!alias.scope !1\n  ret")
    check_all([text], [other], limits=ImportLimits())


def test_lines_of_what_is_always_inlined_under_another_name() -> None:
    """The alias stands in another file, whose metadata means something else there."""
    caller = """\
define void @f(ptr %0) {
  call void @second(ptr %0)
  ret void
}
declare void @second(ptr)
"""
    other = """\
@second = alias void (ptr), ptr @leaf
define void @leaf(ptr %0) #0 {
  store i32 3, ptr %0, align 4, !mine !0
  ret void
}
attributes #0 = { alwaysinline }
!0 = distinct !{!1}
!1 = distinct !{!0, i32 1}
"""
    check_all([caller, other], [caller, other.replace("i32 1}", "i32 2}")])


def test_bodies_that_are_not_imported_for_their_names() -> None:
    caller = """\
define internal void @memset(ptr %0) noinline {
  call void @clear(ptr %0)
  ret void
}
define void @f(ptr %0) {
  call void @memset(ptr %0)
  ret void
}
declare void @clear(ptr)
"""
    clear = """\
define void @clear(ptr %0) {
  %2 = call ptr @memset(ptr %0, i8 0, i64 5)
  store volatile i32 1, ptr %0
  ret void
}
declare ptr @memset(ptr, i8, i64)
"""
    check_all([caller, clear], [caller, clear.replace("@memset", "@away")])


def test_numbers_mean_nothing() -> None:
    """What is added above renumbers metadata, attribute groups and strings."""
    more = re.sub(r"(?<=[!#])(\d+)\b", lambda m: str(int(m[1]) + 100), FIRST)
    more = more.replace("@.str ", "@.str.77 ").replace("@.str,", "@.str.77,").replace("@.str)", "@.str.77)")
    assert llvm.read_module(more.encode()) != llvm.read_module(FIRST.encode())
    found = []
    for text in (FIRST, more):
        made = prepared([text, SECOND], LIMITS)
        found.append({u.name: made.import_fingerprints.unit(u.module, u.tokens) for u in made.units})
    # Alias scopes point at other nodes with an identity: their numbers stay part of the fingerprint.
    assert {name for name in found[0] if found[0][name] != found[1].get(name)} == {"loops"}


def test_nodes_whose_users_are_known_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    users = "".join(f"define void @user{n}() !own !90 {{\n  ret void\n}}\n" for n in range(2))
    made = prepared([FIRST, SECOND + users + "!90 = distinct !{!90}\n"], LIMITS)
    found = [made.fingerprints.modules[i] for i in range(2)]
    assert "!90" in found[1].tied_nodes and "!7" not in found[0].tied_nodes
    tokens = [list(part.entities) for part in made.program.modules]
    expected = [list(map(own.fingerprint.__getitem__, some)) for own, some in zip(found, tokens, strict=True)]
    known = [
        ModuleFingerprints(made.program, part, memo, frozenset(own.tied_nodes))
        for part, memo, own in zip(made.program.modules, made.memos, found, strict=True)
    ]
    monkeypatch.setattr(ModuleFingerprints, "_count_users", None)
    again = [list(map(own.fingerprint.__getitem__, some)) for own, some in zip(known, tokens, strict=True)]
    assert again == expected
