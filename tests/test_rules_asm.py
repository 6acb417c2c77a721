"""Module asm, inline asm, and what `used` attributes keep alive."""

from pathlib import Path

from harness import build, needs_clang, run
from rules import compare, write

pytestmark = needs_clang


def test_module_asm_defines_a_global_function(tmp_path: Path) -> None:
    files = {
        "asm.c": '__asm__(".globl answer\\nanswer:\\n  mov $42, %eax\\n  ret\\n");\n',
        "main.c": '#include <stdio.h>\nint answer(void);\nint main(void) { printf("%d\\n", answer()); }\n',
    }
    compare(tmp_path, files, "42\n")


def test_module_asm_defines_a_local_label(tmp_path: Path) -> None:
    text = """\
__asm__(".text\\nlocal_VALUE:\\n  mov $VALUE, %eax\\n  ret\\n.data\\ncell:\\n  .long VALUE\\n");
extern int local_VALUE(void) __attribute__((visibility("hidden")));
extern int cell __attribute__((visibility("hidden")));
int f_VALUE(void) { return local_VALUE() + cell++; }
"""
    files = {
        "one.c": text.replace("VALUE", "10"),
        "two.c": text.replace("VALUE", "20"),
        "main.c": """\
#include <stdio.h>
int f_10(void), f_20(void);
int main(void) { f_10(); printf("%d %d\\n", f_10(), f_20()); }
""",
    }
    compare(tmp_path, files, "21 40\n")


def test_module_asm_calls_a_static_function(tmp_path: Path) -> None:
    files = {
        "asm.c": """\
static int secret(int x) __attribute__((used));
static int table[2] __attribute__((used)) = {3, 4};
static int secret(int x) { return x + table[1]; }
__asm__(".text\\n.globl entry\\nentry:\\n  jmp secret\\n");
__asm__(".globl second\\nsecond:\\n  mov table(%rip), %eax\\n  ret\\n");
void change(void) { table[0] = 9; }
""",
        "main.c": """\
#include <stdio.h>
int entry(int), second(void);
void change(void);
int main(void) { change(); printf("%d %d\\n", entry(5), second()); }
""",
    }
    compare(tmp_path, files, "9 9\n")


def test_module_asm_calls_a_function_of_another_file(tmp_path: Path) -> None:
    files = {
        "asm.c": '__asm__(".globl entry\\nentry:\\n  jmp helper\\n");\n',
        "helper.c": "int helper(int x) { return x * 3; }\n",
        "main.c": '#include <stdio.h>\nint entry(int);\nint main(void) { printf("%d\\n", entry(5)); }\n',
    }
    compare(tmp_path, files, "15\n")


def test_inline_asm_names_a_static_function(tmp_path: Path) -> None:
    text = """\
static int FILE_cell __attribute__((used)) = VALUE;
__attribute__((used, noinline)) static int secret(void) { return FILE_cell; }
int FILE(void) {
    int out;
    __asm__("sub $128, %%rsp\\n call secret\\n add $128, %%rsp" : "=a"(out) : : "rcx", "rdx", "memory");
    return out;
}
int FILE_other(void) { FILE_cell++; return secret(); }
"""
    files = {
        "a.c": text.replace("FILE", "a").replace("VALUE", "5"),
        "b.c": text.replace("FILE", "b").replace("VALUE", "6"),
        "main.c": """\
#include <stdio.h>
int a(void), b(void), a_other(void);
int main(void) { a_other(); printf("%d %d\\n", a(), b()); }
""",
    }
    compare(tmp_path, files, "6 6\n")


def test_inline_asm_names_a_static_variable(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
static int cell __attribute__((used)) = 3;
static int read(void) { int out; __asm__("movl cell(%%rip), %0" : "=r"(out) : : "memory"); return out; }
int main(void) { cell = 8; printf("%d\\n", read()); }
"""
    compare(tmp_path, {"main.c": text}, "8\n")


def test_inline_asm_names_a_function_of_another_file(tmp_path: Path) -> None:
    files = {
        "main.c": """\
#include <stdio.h>
int main(void) {
    long out;
    __asm__("lea helper(%%rip), %0" : "=r"(out));
    printf("%d\\n", ((int (*)(int))out)(4));
}
""",
        "helper.c": "int helper(int x) { return x + 1; }\n",
    }
    compare(tmp_path, files, "5\n")


def test_inline_asm_operand_names_a_static_function(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
static __attribute__((noinline)) int secret(int x) { return x + 2; }
int main(void) {
    long out;
    __asm__("lea %c1(%%rip), %0" : "=r"(out) : "i"(secret));
    printf("%d\\n", ((int (*)(int))out)(4));
}
"""
    compare(tmp_path, {"main.c": text}, "6\n", cflags=["-fPIE"])


def test_linker_set_without_references(tmp_path: Path) -> None:
    header = """\
struct command { const char *name; int (*run)(int); };
#define COMMAND(f) static const struct command f##_entry \\
    __attribute__((used, section("commands"))) = {#f, f}
"""
    files = {
        "set.h": header,
        "a.c": '#include "set.h"\nstatic int add(int x) { return x + 1; }\nCOMMAND(add);\n',
        "b.c": """\
#include "set.h"
static int twice(int x) { return x * 2; }
static int neg(int x) { return -x; }
COMMAND(twice);
COMMAND(neg);
""",
        "main.c": """\
#include "set.h"
#include <stdio.h>
extern const struct command __start_commands[], __stop_commands[];
int main(void) {
    for (const struct command *c = __start_commands; c < __stop_commands; c++)
        printf("%s %d\\n", c->name, c->run(5));
}
""",
    }
    compare(tmp_path, files, "add 6\ntwice 10\nneg -5\n")


def test_linker_set_keeps_its_order_with_and_without_addresses(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
#define IN_SET __attribute__((used, section("hooks")))
static void one(void) { puts("one"); }
static void two(void) { puts("two"); }
typedef void (*hook)(void);
IN_SET static hook first = 0;
IN_SET static hook a = one;
IN_SET static hook b = two;
IN_SET static hook last = 0;
int main(void) {
    for (volatile hook *h = &first + 1; *h; h++) (*h)();
    puts("end");
}
"""
    compare(tmp_path, {"main.c": text}, "one\ntwo\nend\n", levels=["-O0"])


def test_section_of_plain_globals_keeps_its_order(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
#define IN_SET __attribute__((section("hooks")))
static void one(void) { puts("one"); }
typedef void (*hook)(void);
IN_SET hook first = 0;
IN_SET hook a = one;
IN_SET hook last = 0;
extern hook __start_hooks[], __stop_hooks[];
int main(void) {
    for (hook *h = __start_hooks; h < __stop_hooks; h++) if (*h) (*h)(); else puts("-");
}
"""
    compare(tmp_path, {"main.c": text}, "-\none\n-\n", levels=["-O0"])


def test_used_function_is_kept_for_the_symbol_table(tmp_path: Path) -> None:
    text = """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
__attribute__((used)) int kept(void) { return 3; }
__attribute__((retain, used)) int retained = 4;
int main(void) {
    int (*f)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "kept");
    printf("%d %d\\n", f ? f() : -1, *(int *)dlsym(RTLD_DEFAULT, "retained"));
}
"""
    compare(tmp_path, {"main.c": text}, "3 4\n", link=["-rdynamic"])


def test_llvm_used_private_variable(tmp_path: Path) -> None:
    ir = """\
@note = private constant [5 x i8] c"note\\00", section "notes"
@__start_notes = external global i8
@llvm.used = appending global [1 x ptr] [ptr @note], section "llvm.metadata"
declare i32 @puts(ptr)
define i32 @main() { call i32 @puts(ptr @__start_notes) ret i32 0 }
"""
    compare(tmp_path, {"used.ll": ir}, "note\n")


def test_files_that_the_assembler_reads(tmp_path: Path) -> None:
    """The IR does not change with the file."""
    text = """\
#include <stdio.h>
__asm__(".section .rodata\\nblob: .incbin \\"data.bin\\"\\n.byte 0\\n.text\\n");
extern const char blob[] __attribute__((visibility("hidden")));
int main(void) { puts(blob); }
"""
    write(tmp_path, {"main.c": text})
    for data, misses in (("one", 1), ("one", 0), ("two", 1)):
        (tmp_path / "data.bin").write_text(data)
        done = build(tmp_path, "main.c", "-O1", "-o", "app")
        assert done.misses == misses
        assert run(tmp_path / "app").stdout == f"{data}\n".encode()
