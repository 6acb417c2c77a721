"""Features of the IR that C reaches seldom: prefix data, sections, address spaces, metadata, musttail."""

import subprocess
from pathlib import Path

from harness import needs, needs_clang
from rules import compare

pytestmark = needs_clang


def test_prefix_data_stays_before_its_function(tmp_path: Path) -> None:
    ir = """\
@cell = internal global i32 30
define i32 @tagged() prefix <{ ptr, i32 }> <{ ptr @cell, i32 11 }> { ret i32 1 }
define i32 @change() { store i32 31, ptr @cell ret i32 0 }
"""
    main = """\
#include <stdio.h>
int tagged(void), change(void);
int main(void) {
    char *code = (char *)tagged;
    change();
    printf("%d %d %d\\n", tagged(), ((int *)code)[-1], **(int **)(code - 12));
}
"""
    compare(tmp_path, {"prefix.ll": ir, "main.c": main}, "1 11 31\n")


def test_prologue_data_starts_its_function(tmp_path: Path) -> None:
    ir = """\
define i32 @hooked() prologue [3 x i8] c"\\0F\\1F\\00" { ret i32 5 }
define i32 @main() {
  %first = load i8, ptr @hooked
  %b = zext i8 %first to i32
  %v = call i32 @hooked()
  %w = add i32 %b, %v
  ret i32 %w
}
"""
    compare(tmp_path, {"prologue.ll": ir}, code=20)


def test_functions_and_variables_in_named_sections(tmp_path: Path) -> None:
    files = {
        "lib.c": """\
__attribute__((section("my.text"))) int placed(int x) { return x + 1; }
__attribute__((section(".mydata"))) int stored = 7;
static __attribute__((section("name with space"))) int odd = 8;
int read_odd(void) { return odd++; }
""",
        "main.c": """\
#include <stdio.h>
int placed(int), read_odd(void);
extern int stored;
int main(void) { read_odd(); printf("%d %d %d\\n", placed(1), stored, read_odd()); }
""",
    }
    built = compare(tmp_path, files, "2 7 9\n")
    listing = subprocess.run(
        ["readelf", "-SW", built["-O2"].image], capture_output=True, text=True, check=True
    ).stdout
    for name in ("my.text", ".mydata", "name with space"):
        assert f" {name} " in listing


def test_address_spaces(tmp_path: Path) -> None:
    ir = """\
@far = addrspace(1) global i32 5
@near = internal addrspace(2) global ptr addrspace(1) @far
@same = alias i32, ptr addrspace(1) @far
define i32 @read(ptr addrspace(1) %p) noinline { %v = load i32, ptr addrspace(1) %p ret i32 %v }
define i32 @main() {
  %p = load ptr addrspace(1), ptr addrspace(2) @near
  %v = call i32 @read(ptr addrspace(1) %p)
  %w = load i32, ptr addrspace(1) @same
  %x = add i32 %v, %w
  ret i32 %x
}
"""
    compare(tmp_path, {"space.ll": ir}, code=10)


def test_segment_address_space(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
static __attribute__((noinline)) long self(void) { return *(long __seg_fs *)0; }
int main(void) { long p; __asm__("mov %%fs:0, %0" : "=r"(p)); printf("%d\\n", self() == p); }
"""
    compare(tmp_path, {"main.c": text}, "1\n")


def test_musttail_across_units(tmp_path: Path) -> None:
    files = {
        "odd.c": """\
_Bool even(unsigned);
_Bool odd(unsigned n) { if (!n) return 0; __attribute__((musttail)) return even(n - 1); }
""",
        "main.c": """\
#include <stdio.h>
_Bool odd(unsigned);
_Bool even(unsigned n) { if (!n) return 1; __attribute__((musttail)) return odd(n - 1); }
int main(void) { printf("%d\\n", even(3000001)); }
""",
    }
    compare(tmp_path, files, "0\n")


def test_musttail_with_byval_and_sret(tmp_path: Path) -> None:
    ir = """\
%big = type { [6 x i64] }
define internal void @second(ptr sret(%big) %out, ptr byval(%big) %in) noinline {
  %v = load %big, ptr %in
  store %big %v, ptr %out
  ret void
}
define void @first(ptr sret(%big) %out, ptr byval(%big) %in) noinline {
  musttail call void @second(ptr sret(%big) %out, ptr byval(%big) %in)
  ret void
}
define i32 @main() {
  %in = alloca %big
  %out = alloca %big
  %p = getelementptr i64, ptr %in, i64 5
  store i64 44, ptr %p
  call void @first(ptr sret(%big) %out, ptr byval(%big) %in)
  %q = getelementptr i64, ptr %out, i64 5
  %v = load i64, ptr %q
  %w = trunc i64 %v to i32
  ret i32 %w
}
"""
    compare(tmp_path, {"tail.ll": ir}, code=44)


def test_metadata_cycles(tmp_path: Path) -> None:
    ir = """\
@cell = global i32 3
define i32 @main() {
entry:
  br label %loop
loop:
  %i = phi i32 [ 0, %entry ], [ %next, %loop ]
  %v = load i32, ptr @cell, !access !2, !alias.scope !6
  %next = add i32 %i, %v
  %more = icmp slt i32 %next, 9
  br i1 %more, label %loop, label %done, !llvm.loop !0
done:
  ret i32 %next
}
!0 = distinct !{!0, !1, !3}
!1 = !{!"llvm.loop.unroll.disable"}
!2 = distinct !{}
!3 = distinct !{!"pair", !4}
!4 = distinct !{!"back", !3}
!5 = distinct !{!5, !"domain"}
!6 = !{!7}
!7 = distinct !{!7, !5, !"scope"}
"""
    compare(tmp_path, {"cycle.ll": ir}, code=9)


def test_associated_section(tmp_path: Path) -> None:
    ir = """\
@cell = internal global i32 7
@note = internal constant ptr @cell, section "notes", !associated !0
@other = internal constant i32 5, section "more", !associated !1
@__start_notes = external hidden global ptr
@llvm.compiler.used = appending global [2 x ptr] [ptr @note, ptr @other], section "llvm.metadata"
define i32 @main() {
  %p = load ptr, ptr @__start_notes
  %v = load i32, ptr %p
  ret i32 %v
}
!0 = !{ptr @cell}
!1 = !{ptr @main}
"""
    compare(tmp_path, {"associated.ll": ir}, code=7)


def test_appending_global_of_llvm_used_names_functions_and_data(tmp_path: Path) -> None:
    ir = """\
@kept = internal global i32 1, section "keep"
@llvm.used = appending global [2 x ptr] [ptr @kept, ptr @quiet], section "llvm.metadata"
@llvm.compiler.used = appending global [1 x ptr] [ptr @kept], section "llvm.metadata"
@__stop_keep = external hidden global i8
@__start_keep = external hidden global i8
define internal void @quiet() { ret void }
define i32 @main() {
  %a = ptrtoint ptr @__stop_keep to i64
  %b = ptrtoint ptr @__start_keep to i64
  %c = sub i64 %a, %b
  %d = trunc i64 %c to i32
  ret i32 %d
}
"""
    compare(tmp_path, {"used.ll": ir}, code=4)


@needs("nm")
def test_llvm_used_local_keeps_its_name(tmp_path: Path) -> None:
    text = "__attribute__((used)) static int quiet(void) { return 1; }\nint main(void) { return 0; }\n"
    built = compare(tmp_path, {"main.c": text})
    listing = subprocess.run(["nm", built["-O2"].image], capture_output=True, text=True, check=True).stdout
    assert " t quiet\n" in listing


def test_varargs(tmp_path: Path) -> None:
    files = {
        "sum.c": """\
#include <stdarg.h>
struct pair { long a; double b; };
static double each(int n, va_list l) {
    double s = 0;
    while (n--) {
        s += va_arg(l, int);
        s += va_arg(l, double);
        struct pair p = va_arg(l, struct pair);
        s += p.a * p.b;
    }
    return s;
}
double sum(int n, ...) { va_list l; va_start(l, n); double s = each(n, l); va_end(l); return s; }
""",
        "main.c": """\
#include <stdio.h>
struct pair { long a; double b; };
double sum(int n, ...);
int main(void) { struct pair p = {3, 0.5}; printf("%g\\n", sum(2, 1, 2.5, p, 4, 0.25, p)); }
""",
    }
    compare(tmp_path, files, "10.75\n")


def test_constant_expressions_between_globals(tmp_path: Path) -> None:
    ir = """\
@a = internal global [4 x i32] [i32 1, i32 2, i32 3, i32 4]
@end = global ptr getelementptr ([4 x i32], ptr @a, i64 0, i64 3)
@distance = internal constant i32 trunc (i64 sub (
  i64 ptrtoint (ptr @b to i64), i64 ptrtoint (ptr @distance to i64)) to i32)
@b = internal constant i32 9
@self = global ptr @self
define i32 @main() {
  %p = load ptr, ptr @end
  %v = load i32, ptr %p
  %d = load i32, ptr @distance
  %e = sext i32 %d to i64
  %f = add i64 %e, ptrtoint (ptr @distance to i64)
  %q = inttoptr i64 %f to ptr
  %w = load i32, ptr %q
  %s = load ptr, ptr @self
  %t = icmp eq ptr %s, @self
  %u = zext i1 %t to i32
  %x = add i32 %v, %w
  %y = add i32 %x, %u
  ret i32 %y
}
"""
    compare(tmp_path, {"constants.ll": ir}, code=14)


def test_dso_local_equivalent_and_no_cfi(tmp_path: Path) -> None:
    ir = """\
@offset = constant i32 trunc (i64 sub (
  i64 ptrtoint (ptr dso_local_equivalent @target to i64), i64 ptrtoint (ptr @offset to i64)) to i32)
@plain = global ptr no_cfi @target
define hidden i32 @target() noinline { ret i32 6 }
define i32 @main() {
  %d = load i32, ptr @offset
  %e = sext i32 %d to i64
  %g = add i64 %e, ptrtoint (ptr @offset to i64)
  %q = inttoptr i64 %g to ptr
  %v = call i32 %q()
  %f = load ptr, ptr @plain
  %w = call i32 %f()
  %x = add i32 %v, %w
  ret i32 %x
}
"""
    compare(tmp_path, {"equivalent.ll": ir}, code=12)


def test_module_without_functions_and_without_anything(tmp_path: Path) -> None:
    files = {
        "data.c": "int numbers[3] = {1, 2, 3};\n",
        "empty.c": "\n",
        "main.c": "extern int numbers[];\nint main(void) { return numbers[2]; }\n",
    }
    compare(tmp_path, files, code=3)
