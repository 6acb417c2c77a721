"""Functions whose block addresses escape stay with what holds the addresses."""

from pathlib import Path

from harness import needs_clang
from rules import LEVELS, compare

pytestmark = needs_clang


def test_static_local_table(tmp_path: Path) -> None:
    files = {
        "vm.c": """\
int interpret(const char *code) {
    static const void *const table[] = {&&op_inc, &&op_double, &&op_halt};
    int value = 1;
    goto *table[*code++ - '0'];
op_inc: value++; goto *table[*code++ - '0'];
op_double: value *= 2; goto *table[*code++ - '0'];
op_halt: return value;
}
""",
        "main.c": """\
#include <stdio.h>
int interpret(const char *);
int main(void) { printf("%d\\n", interpret("0110102")); }
""",
    }
    built = compare(tmp_path, files, "19\n", levels=LEVELS)
    assert built["-O0"].result.compiled.count("interpret") == 1


def test_tables_of_the_same_name_in_static_functions_of_two_files(tmp_path: Path) -> None:
    text = """\
static int run(int n) {
    static void *table[] = {&&a, &&b};
    goto *table[n];
a: return BASE + 1;
b: return BASE + 2;
}
int FILE(int n) { return run(n); }
"""
    files = {
        "x.c": text.replace("BASE", "10").replace("FILE", "x"),
        "y.c": text.replace("BASE", "20").replace("FILE", "y"),
        "main.c": """\
#include <stdio.h>
int x(int), y(int);
int main(void) { printf("%d %d\\n", x(0), y(1)); }
""",
    }
    compare(tmp_path, files, "11 22\n")


def test_table_of_label_differences(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
__attribute__((noinline)) int run(int n) {
    static const int table[] = {&&a - &&a, &&b - &&a, &&c - &&a};
    goto *(&&a + table[n]);
a: return 1;
b: return 2;
c: return 3;
}
int main(int argc, char **argv) { printf("%d %d %d\\n", run(argc - 1), run(argc), run(argc + 1)); }
"""
    compare(tmp_path, {"main.c": text}, "1 2 3\n")


def test_table_in_a_global_that_another_file_uses(tmp_path: Path) -> None:
    ir = """\
@targets = global [2 x ptr] [ptr blockaddress(@jump, %first), ptr blockaddress(@jump, %"second one")]
define i32 @jump(ptr %to) noinline {
  indirectbr ptr %to, [label %first, label %"second one"]
first:
  ret i32 1
"second one":
  ret i32 2
}
"""
    main = """\
#include <stdio.h>
extern void *targets[2];
int jump(void *);
int main(int argc, char **argv) { printf("%d %d\\n", jump(targets[argc - 1]), jump(targets[argc])); }
"""
    compare(tmp_path, {"jump.ll": ir, "main.c": main}, "1 2\n")


def test_block_address_of_another_function(tmp_path: Path) -> None:
    ir = """\
define i32 @jump(ptr %to) noinline {
entry:
  indirectbr ptr %to, [label %entry.one, label %two]
entry.one:
  ret i32 10
two:
  ret i32 20
}
define ptr @choose(i1 %which) noinline {
  %to = select i1 %which, ptr blockaddress(@jump, %entry.one), ptr blockaddress(@jump, %two)
  ret ptr %to
}
define i32 @main() {
  %a = call ptr @choose(i1 true)
  %b = call i32 @jump(ptr %a)
  %c = call ptr @choose(i1 false)
  %d = call i32 @jump(ptr %c)
  %e = add i32 %b, %d
  ret i32 %e
}
"""
    compare(tmp_path, {"jump.ll": ir}, code=30)


def test_computed_goto_in_an_inlined_caller(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
static inline __attribute__((always_inline)) int run(int n) {
    void *to = n ? &&one : &&zero;
    goto *to;
zero: return 5;
one: return 6;
}
__attribute__((noinline)) int first(int n) { return run(n); }
int main(int argc, char **argv) { printf("%d %d\\n", first(argc), run(argc - 1)); }
"""
    compare(tmp_path, {"main.c": text}, "6 5\n")


def test_asm_goto(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
__attribute__((noinline)) int positive(int x) {
    __asm__ goto("test %0, %0\\n jg %l1" : : "r"(x) : "cc" : yes);
    return 0;
yes: return 1;
}
int main(void) { printf("%d %d\\n", positive(3), positive(-3)); }
"""
    compare(tmp_path, {"main.c": text}, "1 0\n")
