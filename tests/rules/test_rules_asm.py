"""Module asm, inline asm, and what `used` attributes keep alive."""

import subprocess
from pathlib import Path

import pytest
from harness import CLANG, build, needs_clang, run
from rules import Build, compare, write

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


@pytest.mark.parametrize("order", ["A T B", "T A B", "A B T", "B T A"])
def test_set_with_members_of_comdats_is_in_the_order_of_sections(tmp_path: Path, order: str) -> None:
    """In an object such a member has a section of its own, behind that of the others if these came first."""
    parts = {
        "A": 'IN_SET Name a = {"a"};\n',
        "B": 'IN_SET Name b = {"b"}; IN_SET inline Name i = {"i"};\n',
        "T": "template struct Entry<1>;\n",
    }
    text = (
        '#include <cstdio>\n#define IN_SET __attribute__((section("names"), used))\n'
        "struct Name { const char *text; };\n"
        "template <int N> struct Entry { IN_SET static Name name; };\n"
        'template <int N> Name Entry<N>::name = {"t"};\n' + "".join(parts[part] for part in order.split())
    )
    main = (
        "extern Name __start_names[], __stop_names[];\n"
        "int main() { for (Name *n = __start_names; n < __stop_names; n++) std::puts(n->text); }\n"
    )
    compare(
        tmp_path,
        {"main.cpp": text + main, "other.cpp": text.replace("Name a", "Name c").replace("Name b", "Name d")},
    )


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


def test_files_that_the_assembler_finds_as_headers_are_found(tmp_path: Path) -> None:
    """clang's own assembler looks in the folders of `-I`, LLVM's interfaces in none."""
    text = """\
#include <stdio.h>
#define BLOB(name) ".pushsection .rodata\\n" name ": .incbin \\"data.bin\\"\\n.byte 0\\n.popsection\\n"
__asm__(BLOB("one"));
extern const char one[], two[] __attribute__((visibility("hidden")));
__attribute__((used)) void f(void) { __asm__(BLOB("two")); }
int main(void) { printf("%s %s", one, two); }
"""
    write(tmp_path, {"main.c": text})
    for folder, data in (("far", "first"), ("far", "second"), ("near", "third")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "data.bin").write_text(data)
        build(tmp_path, "main.c", "-O1", "-Inear", "-I", "far", "-o", "app")
        assert run(tmp_path / "app").stdout == f"{data} {data}".encode()


def exports(path: Path) -> set[str]:
    """The dynamic symbols that a file defines, with their versions."""
    words = ["nm", "-D", "--defined-only", str(path)]
    lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split()[-1] for line in lines} - {"V1", "V2", "_init", "_fini"}


def test_versions_of_symbols(tmp_path: Path) -> None:
    text = """\
int old(void) { return 1; }
int new(void) { return 2; }
int third(void) { return 3; }
__asm__(".symver old, f@V1\\n.symver new, f@@V2\\n");
__asm__(".symver third, g@@@V2");
int use(void) { return old() + new() + third(); }
"""
    (tmp_path / "a.map").write_text("V1 { global: f; local: *; };\nV2 { global: f; g; } V1;\n")
    (tmp_path / "a.c").write_text(text)
    words = ["-O2", "--emit", "shared", "-fPIC", "-o", "a.so", "--", "-Wl,--version-script=a.map"]
    Build.start(tmp_path, tmp_path, "a.c", *words).result()
    assert exports(tmp_path / "a.so") == {"f@V1", "f@@V2", "g@@V2"}


def test_an_old_version_of_a_library_function(tmp_path: Path) -> None:
    """What is not written as a call of it becomes one, too."""
    text = """\
#include <string.h>
#include <stdio.h>
struct big { char bytes[3000]; } one, two;
__asm__(".symver memcpy, memcpy@GLIBC_2.2.5");
void copy(struct big *to, struct big *from) { *to = *from; }
int main(void) { one.bytes[2999] = 'x'; copy(&two, &one); printf("%c\\n", two.bytes[2999]); }
"""
    built = compare(tmp_path, {"main.c": text}, "x\n", levels=["-O1"])
    seen = subprocess.run(["nm", "-D", built["-O1"].image], capture_output=True, text=True, check=True).stdout
    assert "memcpy@GLIBC_2.2.5" in seen and "memcpy@GLIBC_2.14" not in seen


def test_asm_gives_a_function_another_type(tmp_path: Path) -> None:
    files = {
        "a.c": """\
static int impl(void) { return 5; }
__asm__(".type first, @gnu_indirect_function");
void *first(void) { return impl; }
""",
        "main.c": "int first(void);\nint main(void) { return first(); }\n",
    }
    compare(tmp_path, files, code=5)


@pytest.mark.parametrize(
    "asm",
    [".globl second\\n.set second, first", ".globl second; second = first", ".weak second; second=first"],
)
def test_asm_gives_a_second_name(tmp_path: Path, asm: str) -> None:
    files = {
        "a.c": f'int first = 7;\n__asm__("{asm}");\nextern int second;\nint get(void) {{ return second; }}\n',
        "main.c": """\
extern int first, second;
int get(void);
int main(void) { second = 9; return first + get(); }
""",
    }
    compare(tmp_path, files, code=18, levels=["-O2"])


def test_weak_references_and_differences(tmp_path: Path) -> None:
    files = {
        "a.c": """\
int first(void) { return 4; }
int last(void) { return 4; }
__asm__(".data\\n.globl distance, away\\ndistance: .long last - first\\naway: .long first - .\\n.text");
__asm__(".weakref maybe, target");
extern int maybe(void), distance, away;
int f(void) {
    int (*back)(void) = (int (*)(void))((char *)&away + away);
    return maybe() + (distance > 0) + back();
}
""",
        "main.c": "int target(void) { return 30; }\nint f(void);\nint main(void) { return f(); }\n",
    }
    compare(tmp_path, files, code=35, levels=["-O2"])


def test_symbols_of_one_file_however_asm_makes_them(tmp_path: Path) -> None:
    files = {
        "a.c": """\
__asm__(".local one\\n.comm one,4,4\\n.lcomm two,4");
__asm__(".text; nop; three: mov $3,%eax; ret; \\"four 4\\": mov $4,%eax; ret; five : mov $5,%eax; ret");
__asm__(".macro make name, value\\n\\\\name: mov $\\\\value, %eax\\n ret\\n.endm\\nmake six, 6");
extern int one, two;
int three(void), four(void) __asm__("four 4"), five(void), six(void);
static int own(void) { return 70; }
int f(void) { return ++one + ++two + three() + four() + five() + six() + own(); }
""",
        "main.c": """\
#include <stdio.h>
int one = 100, two = 200, f(void);
int six(void) { return 600; }
int three(void) { return 300; }
int five(void) { return 500; }
int main(void) { f(); printf("%d %d\\n", f(), one + two + three() + five() + six()); }
""",
    }
    compare(tmp_path, files, "92 1700\n", levels=["-O2"])


def test_inline_asm_makes_what_other_functions_name(tmp_path: Path) -> None:
    text = """\
__attribute__((noinline)) int FILE_f(int x) { __asm__ volatile("here: nop\\n.set K1, VALUE"); return x; }
int FILE_g(void) { int out; __asm__("mov $K1, %0" : "=r"(out)); return out; }
extern char here[];
int FILE_h(void) { return here >= (char *)FILE_f && here < (char *)FILE_f + 64; }
"""
    files = {
        "a.c": text.replace("FILE", "a").replace("VALUE", "5"),
        "b.c": text.replace("FILE", "b").replace("VALUE", "60"),
        "main.c": """\
int a_f(int), b_f(int), a_g(void), b_g(void), a_h(void), b_h(void);
char here[9];
int main(void) { return a_f(0) + b_f(0) + a_g() + b_g() + a_h() + b_h() + (here != 0); }
""",
    }
    compare(tmp_path, files, code=68)


def test_what_makes_symbols_is_not_copied(tmp_path: Path) -> None:
    text = """\
static void mark(void) { __asm__ volatile("mark_here: nop"); }
int main(void) {
    long out;
    mark();
    __asm__("lea mark_here(%%rip), %0" : "=r"(out));
    return out != 0;
}
"""
    compare(tmp_path, {"main.c": text}, code=1)


def test_values_that_asm_changes_on_its_way(tmp_path: Path) -> None:
    """Which one is meant depends on what is inlined where."""
    files = {
        "a.c": """\
static int read(void) { int out; __asm__ volatile("mov $K, %0" : "=r"(out)); return out; }
int one(void) { __asm__ volatile(".set K, 1"); return read(); }
int two(void) { __asm__ volatile(".set K, 2"); return read(); }
""",
        "main.c": "int one(void), two(void);\nint main(void) { return one() * 10 + two(); }\n",
    }
    compare(tmp_path, files, code=12, levels=["-O2"])


def test_asm_exports_a_static(tmp_path: Path) -> None:
    files = {
        "a.c": """\
__asm__(".globl f, v; .hidden v");
static __attribute__((used)) int f(void) { return 3; }
static __attribute__((used)) int v = 5;
int bump(void) { return v++; }
""",
        "main.c": "extern int v;\nint f(void), bump(void);\nint main(void) { bump(); return f() + v; }\n",
    }
    compare(tmp_path, files, code=9, levels=["-O2"])


def test_tables_that_functions_fill(tmp_path: Path) -> None:
    """Also those that nothing calls."""
    files = {
        "a.c": """\
#define ENTRY(n) __asm__ volatile(".pushsection table,\\"a\\"\\n.quad " #n "\\n.popsection")
static inline __attribute__((always_inline)) void twice(void) { ENTRY(3); }
static int inlined(int x) { ENTRY(4); return x; }
int uncalled(void) { ENTRY(1); return 1; }
int called(void) { ENTRY(2); return 1; }
int through(void) { twice(); return 1; }
int last(int x) { return inlined(x); }
""",
        "main.c": """\
#include <stdio.h>
extern long __start_table[], __stop_table[];
int called(void);
int main(void) { called(); for (long *p = __start_table; p < __stop_table; p++) printf("%ld", *p); }
""",
    }
    compare(tmp_path, files, "1234", levels=["-O2"])


def test_names_that_macros_put_together(tmp_path: Path) -> None:
    """The module is compiled as it is, with its constructors in order."""
    files = {
        "a.c": """\
#include <stdio.h>
__asm__(".macro do name\\n call pre_\\\\name\\n.endm");
__attribute__((used)) static int pre_one(void) { return 3; }
static int count = 2;
static __attribute__((constructor)) void second(void) { printf("%d\\n", count *= 3); }
static __attribute__((constructor(200))) void first(void) { printf("%d\\n", count += 5); }
static const char *const names[] = {"even", "odd"};
int go(void) {
    int out;
    __asm__("sub $136, %%rsp\\n do one\\n add $136, %%rsp"
            : "=a"(out) : : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
    puts(names[out & 1]);
    return out;
}
""",
        "main.c": """\
int go(void);
int pre_one(void) { return 70; }
int main(void) { return go() + pre_one(); }
""",
    }
    compare(tmp_path, files, "7\n21\nodd\n", code=73)


def test_constructors_that_are_used(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
static __attribute__((constructor, used)) void one(void) { puts("one"); }
static __attribute__((constructor)) void two(void) { puts("two"); }
static __attribute__((destructor, used)) void end(void) { puts("end"); }
int main(void) { puts("main"); }
"""
    compare(tmp_path, {"main.c": text}, "one\ntwo\nmain\nend\n", levels=["-O2"])


def test_asm_with_debug_information(tmp_path: Path) -> None:
    text = """\
int first = 7;
__asm__(".globl second; .set second, first");
__asm__(".if 1\\n.endif");
extern int second;
int main(void) { int *volatile p = &second; *p = 9; return first; }
"""
    compare(tmp_path, {"main.c": text}, cflags=["-g"], code=9, levels=["-O2"])


def test_edits_of_asm_are_noticed(tmp_path: Path) -> None:
    text = """\
int f(void) { __asm__ volatile(".set K1, 5"); return 0; }
int g(void) { int out; __asm__("mov $K1, %0" : "=r"(out)); return out; }
int other(void) { return 1; }
int K2(void) { return 30; }
int main(void) { return f() + g() + other() + K2(); }
"""
    weak = ".type K2,@gnu_indirect_function\\n.set K1, 6"
    edits = [(text, 36), (text.replace("K1, 5", "K1, 6"), 37), (text.replace("return 1", "return 2"), 37)]
    edits.append(
        (
            text.replace(".set K1, 5", weak)
            .replace(
                "int K2(void) { return 30; }",
                "static int ten(void) { return 10; }\nvoid *K2r(void) { return ten; }",
            )
            .replace("K2,", "K2r,")
            .replace("int main", 'extern int K2(void) __asm__("K2r");\nint main'),
            17,
        )
    )
    for edited, code in edits:
        (tmp_path / "main.c").write_text(edited)
        Build.start(tmp_path, tmp_path, "main.c", "-O2", "-o", "app").result()
        assert run(tmp_path / "app").code == code


def test_asm_of_several_files_in_one(tmp_path: Path) -> None:
    """What each file's asm makes for itself cannot be told apart in one text."""
    text = """\
__asm__("K1 = VALUE");
int FILE(void) { int out; __asm__("mov $K1, %0" : "=r"(out)); return out; }
"""
    for name, value in (("a", "5"), ("b", "6")):
        (tmp_path / f"{name}.c").write_text(text.replace("FILE", name).replace("VALUE", value))
    for emit in ("asm", "bitcode"):
        done = Build.start(tmp_path, tmp_path, "a.c", "b.c", "--emit", emit, "-o", "out")
        done.process.join()
        assert done.process.exitcode == 1
        assert "a.c: asm makes 'K1' for that file only" in done.log.read_text()
        Build.start(tmp_path, tmp_path, "a.c", "--emit", emit, "-o", "out").result()


def test_symbols_of_an_object(tmp_path: Path) -> None:
    text = """\
__asm__(".globl f, v; .hidden v; .set alias, other; .weak alias");
static __attribute__((used)) int f(void) { return 3; }
static __attribute__((used)) int v = 5;
int other(void) { return v++; }
"""
    (tmp_path / "a.c").write_text(text)
    Build.start(tmp_path, tmp_path, "a.c", "-O2", "--emit", "object", "-o", "ours.o").result()
    subprocess.run([CLANG, "-O2", "-c", "a.c", "-o", "theirs.o"], cwd=tmp_path, check=True)
    ours, theirs = (
        subprocess.run(["nm", "-j", "-g", tmp_path / name], capture_output=True, check=True).stdout
        for name in ("ours.o", "theirs.o")
    )
    assert ours == theirs


def test_what_must_be_inlined_for_its_constants(tmp_path: Path) -> None:
    """Alone it cannot be compiled, whatever of the file its asm names."""
    text = """\
int helper(void) { return 3; }
int key;
static inline __attribute__((always_inline)) int branch(int *k) {
    __asm__ goto("1: jmp %l[yes]\\n.pushsection t,\\"aw\\"\\n.quad 1b, %c0, helper\\n.popsection"
                 : : "i"(k) : : yes);
    return 0;
yes:
    return 1;
}
int f(void) { return branch(&key) ? 5 : 6; }
int main(void) { return f() + helper(); }
"""
    compare(tmp_path, {"main.c": text}, code=8, levels=["-O2"])


def test_files_kept_in_one_piece_are_named(tmp_path: Path) -> None:
    write(tmp_path, {"a.c": '__asm__(".include \\"none.inc\\"\\n"); int main(void) { return 0; }\n'})
    write(tmp_path, {"none.inc": ".globl none\n"})
    built = Build.start(tmp_path, tmp_path, "a.c", "-v", "-o", "a").result()
    assert "a: kept in one piece for asm: a.c: the directive .include\n" in built.stdout
    assert built.stats["sealed"] == {"a.c": "the directive .include"}
