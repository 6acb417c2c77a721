"""What the linker is told about symbols decides what may be inlined across files and what must be there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from harness import CLANG, build, needs, needs_clang, needs_mold, run
from rules import Build, clang_archive, clang_object, compare, write

pytestmark = needs_clang

SHOW = '#include <stdio.h>\n#define SHOW(...) printf(__VA_ARGS__), puts("")\n'

#: A definition in one file, its users in that file and in another.
IMPL = {
    "impl.c": "int impl(void) { return 6; }\nint other(void) { return 51; }\n"
    "int value = 7, second = 70; const int k = 8, k2 = 80;\n"
    'int twin(void) __attribute__((alias("impl")));\n',
    "reader.c": "extern const int k; int impl(void);\nint read_k(void) { return k; }\n"
    "int call_impl(void) { return impl() + 100; }\n",
    "main.c": SHOW + "int impl(void), twin(void), read_k(void), call_impl(void);\n"
    "extern int value; extern const int k;\n"
    "static int other(void) { return 3; }\n"
    'int main(void) { SHOW("%d %d %d %d %d %d %d", impl(), twin(), value, k, read_k(), call_impl(), other());'
    " return 0; }\n",
}


def test_defsym_over_a_definition(tmp_path: Path) -> None:
    link = ["-Wl,--defsym=impl=other", "-Wl,--defsym,value=second", "-Xlinker", "-defsym=k=k2"]
    compare(tmp_path, IMPL, "51 6 70 80 80 151 3\n", link=link)


def test_without_options_the_same_is_inlined(tmp_path: Path) -> None:
    """And the cache that this leaves has nothing that is wrong with the option."""
    inputs = write(tmp_path, IMPL)

    def says(*link: str) -> bytes:
        Build.start(tmp_path, tmp_path, *inputs, "-o", "app", "--", *link).result()
        return run(tmp_path / "app").stdout

    assert says() == b"6 6 7 8 8 106 3\n"
    assert says("-Wl,--defsym=impl=other", "-Wl,--defsym=k=k2") == b"51 6 7 80 80 151 3\n"
    assert says() == b"6 6 7 8 8 106 3\n"


def test_a_second_name_is_not_taken_for_the_first(tmp_path: Path) -> None:
    compare(tmp_path, IMPL, "6 51 7 8 8 106 3\n", link=["-Wl,--defsym=twin=other"])


def test_a_body_that_names_it_does_not_come_to_it(tmp_path: Path) -> None:
    """The users' units hold the definitions: there the bodies of `reader.c` would take these for theirs."""
    files = {
        "reader.c": IMPL["reader.c"]
        + "__attribute__((always_inline)) static inline int through(void) { return impl(); }\n"
        "int call_through(void) { return through() + 1000; }\n",
        "main.c": SHOW + "int read_k(void), call_impl(void), call_through(void), impl(void);\n"
        "const int k = 8, k2 = 80;\n"
        "__attribute__((noinline)) int impl(void) { return 6; }\nint other(void) { return 51; }\n"
        'int main(void) { SHOW("%d %d %d %d", read_k(), call_impl(), call_through(), k); return !impl(); }\n',
    }
    built = compare(tmp_path, files, link=["-Wl,--defsym=impl=other", "-Wl,--defsym=k=k2"], levels=["-O2"])
    assert built["-O2"].stdout == "80 151 1051 8\n"


@pytest.mark.parametrize("option", ["-Wl,--just-symbols=%s", "-Wl,-R,%s"])
def test_symbols_of_an_image_at_fixed_places(tmp_path: Path, option: str) -> None:
    write(tmp_path, {"fixed": "int there = 1, twice = 2; int main(void) { return 0; }\n"})
    image = tmp_path / "image"
    subprocess.run([CLANG, "-no-pie", "-xc", tmp_path / "fixed", "-o", image], check=True)
    text = "extern char there; int twice = 5; int two(void) { return twice; }\n"
    text += SHOW + 'int main(void) { SHOW("%lx %d", (long)&there, two()); return 0; }\n'
    compare(tmp_path, {"main.c": text}, link=["-no-pie", option % image], levels=["-O2"])


def test_what_a_name_is_assigned_to_is_no_garbage(tmp_path: Path) -> None:
    """To mold it is, where nothing else refers to its section."""
    compare(tmp_path, IMPL, link=["-Wl,--defsym=impl=other", "-Wl,--gc-sections"], levels=["-O0"])


def test_inline_functions_of_cplusplus(tmp_path: Path) -> None:
    header = "inline int f(int x) { return x + 1; }\nint other(int), a(int), b(int);\n"
    files = {
        "f.h": header + "__attribute__((noinline)) inline int g(int x) { return x + 1; }\n",
        "a.cpp": '#include "f.h"\nint other(int x) { return x + 50; }\n'
        "int a(int x) { return f(x) + g(x); }\n",
        "b.cpp": '#include "f.h"\nint b(int x) { return f(x) + g(x); }\n',
        "main.cpp": SHOW + '#include "f.h"\nint main() { SHOW("%d %d", a(1), b(1)); }\n',
    }
    compare(tmp_path, files, link=["-Wl,--defsym=_Z1gi=_Z5otheri", "-Wl,--defsym=_Z1fi=_Z5otheri"])


CALLS_A = {
    "impl.c": "int impl(void) { return 6; }\nint other(void) { return 51; }\n"
    "int unused(void) { return 4; }\n",
    "main.c": SHOW + "__attribute__((weak)) int a(void); int impl(void);\n"
    'int main(void) { SHOW("%d %d", a ? a() : -1, impl()); return 0; }\n',
}


@pytest.mark.parametrize(
    "linker", [pytest.param("bfd", marks=needs("ld.bfd")), pytest.param("mold", marks=needs_mold)]
)
@pytest.mark.parametrize("native", [False, True])
def test_wrapped_inline_functions(tmp_path: Path, linker: str, native: bool) -> None:
    """GNU ld wraps what refers to a group that another file's is linked for; mold does not."""
    header = "inline int f(int x) { return x + 1; }\ntemplate <class T> T g(T x) { return x + 2; }\n"
    files = {
        "f.h": header,
        "main.cpp": '#include "f.h"\nextern "C" int printf(const char *, ...);\n'
        'extern "C" int __wrap__Z1fi(int x) { return x + 100; }\n'
        'extern "C" int __wrap__Z1gIiET_S0_(int x) { return x + 200; }\n'
        'int other(int);\nint main() { printf("%d %d %d", f(1), g(1), other(1)); }\n',
    }
    other = '#include "f.h"\nint other(int x) { return f(x) * 1000 + g(x); }\n'
    natives = []
    if native:
        write(tmp_path, {"f.h": header})
        natives = [clang_object(tmp_path, "other.cpp", other, "-O0")]
    else:
        files["other.cpp"] = other
    link = ["-Wl,--wrap=_Z1fi,--wrap=_Z1gIiET_S0_", f"-fuse-ld={linker}"]
    says = "2 3 101201" if linker == "bfd" else "2 3 2003"
    compare(tmp_path, files, says, natives=natives, link=link, levels=["-O0"])


@pytest.mark.parametrize("value", ["unused", "unused+0", "(unused)"])
def test_what_an_expression_names_is_there(tmp_path: Path, value: str) -> None:
    """Not every linker reads expressions: one that does is chosen."""
    compare(tmp_path, CALLS_A, "4 6\n", link=[f"-Wl,--defsym=a={value}"], levels=["-O2"])


def test_one_name_is_assigned_another_that_is_assigned(tmp_path: Path) -> None:
    """mold's image crashes: the linker that clang takes is chosen."""
    link = ["-Wl,--defsym=a=impl", "-Wl,--defsym=impl=other"]
    compare(tmp_path, CALLS_A, "51 51\n", link=link, levels=["-O2"])


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("a = unused;", "4 6\n"),
        ("PROVIDE(a = unused);", "4 6\n"),
        ("INCLUDE inner.ld", "4 51\n"),
        ("SECTIONS { a = unused; } INSERT AFTER .text;", "4 6\n"),
    ],
)
def test_scripts(tmp_path: Path, script: str, says: str) -> None:
    (tmp_path / "s.ld").write_text(script + "\n")
    (tmp_path / "inner.ld").write_text('a = unused; "impl" = other;\n')
    link = [f"-L{tmp_path}", *(["-T"] if "INSERT" in script else []), str(tmp_path / "s.ld")]
    compare(tmp_path, CALLS_A, says, link=link, levels=["-O2"])


def test_an_edited_script_is_read_again(tmp_path: Path) -> None:
    inputs = write(tmp_path, CALLS_A)
    (tmp_path / "s.ld").write_text("INCLUDE inner.ld\n")
    said = []
    for text in ("a = unused;", "a = unused;", "a = unused; impl = other;"):
        (tmp_path / "inner.ld").write_text(text + "\n")
        Build.start(tmp_path, tmp_path, *inputs, "-o", "app", "--", "s.ld").result()
        said.append(run(tmp_path / "app").stdout)
    assert said == [b"4 6\n", b"4 6\n", b"4 51\n"]


def test_what_a_script_brings_in_calls_back(tmp_path: Path) -> None:
    """Also the script that a library's `.so` is."""
    calls = "int {0}(void); int back_{0}(void) {{ return {0}(); }}\n"
    clang_object(tmp_path, "one.c", calls.format("first"))
    clang_archive(tmp_path, "two.c", calls.format("second"))
    (tmp_path / "s.ld").write_text("INPUT(one.o)\n")
    (tmp_path / "libtwins.so").write_text("/* GNU ld script */\nGROUP ( libtwo.a )\n")
    write(
        tmp_path,
        {
            "lib.c": "int first(void) { return 1; }\nint second(void) { return 2; }\n",
            "main.c": "int back_first(void), back_second(void);\n"
            "int main(void) { return back_first() + back_second() - 3; }\n",
        },
    )
    Build.start(tmp_path, tmp_path, "lib.c", "main.c", "-o", "app", "--", "s.ld", "-L.", "-ltwins").result()
    assert run(tmp_path / "app").code == 0


TWICE = {
    "one.c": "int impl(void) { return 1; }\nint v = 10; const int k = 100;\n"
    "int one(void) { return impl() + v + k; }\nint late(void) { return 10000; }\n",
    "two.c": "int late(void) { return 20000; }\n"
    "int impl(void) { return 2; }\nint v = 20; const int k = 200;\n"
    "__attribute__((noinline)) int n(int x) { return x + 2000; }\n"
    "int two(void) { return impl() + v + k + n(3) + late(); }\n",
    "main.c": SHOW + "int impl(void), one(void), two(void); extern int v; extern const int k;\n"
    "int n(int x) { return x + 3000; }\nint twice(void) { return impl() * 2; }\n"
    'int main(void) { SHOW("%d %d %d %d %d %d %d", impl(), v, k, one(), two(), n(1), twice()); return 0; }\n',
}


def test_the_first_of_several_definitions_wins(tmp_path: Path) -> None:
    compare(tmp_path, TWICE, link=["-Wl,-z,muldefs"])


def test_the_first_is_a_native_one(tmp_path: Path) -> None:
    native = clang_object(tmp_path, "one.c", TWICE["one.c"])
    files = {name: text for name, text in TWICE.items() if name != "one.c"}
    link = ["-Wl,--allow-multiple-definition"]
    order = [native, "two.c", "main.c"]
    compare(tmp_path, files, natives=[native], order=order, link=link)


SCRIPT = """\
SECTIONS {
  .mine : { mine = .; *fa.o(.data .data.*) mine_end = .; }
  .code : { code = .; *fa.o(.text) code_end = .; }
} INSERT AFTER .data;
"""


def test_scripts_know_objects_by_the_names_of_their_sources(tmp_path: Path) -> None:
    (tmp_path / "s.ld").write_text(SCRIPT)
    sources = {
        "fa.c": "int one = 1, two = 2; static int three = 3; int *fp(void) { return &three; }\n",
        "fb.c": SHOW + "int four = 4, *fp(void); extern char mine[], mine_end[], code[], code_end[];\n"
        "extern int one;\n#define IN(p, a) ((char *)(p) >= a && (char *)(p) < a##_end)\n"
        'int main(void) { SHOW("%d %d %d %d %d", (int)(mine_end - mine), IN(&one, mine), IN(fp(), mine),'
        " IN(&four, mine), IN((long)fp, code)); return 0; }\n",
    }
    write(tmp_path, sources)
    Build.start(tmp_path, tmp_path, *sources, "-o", "app", "-O2", "--", "-T", "s.ld").result()
    objects = [clang_object(tmp_path, name, text) for name, text in sources.items()]
    subprocess.run([CLANG, *objects, "-T", "s.ld", "-o", "clang"], cwd=tmp_path, check=True, timeout=60)
    assert run(tmp_path / "app").stdout == run(tmp_path / "clang").stdout == b"12 1 1 0 1\n"


@needs("ld.bfd")
def test_a_script_names_an_object_that_is_a_source(tmp_path: Path) -> None:
    """GNU ld opens the file; so it does where clang compiles and links at once."""
    write(tmp_path, {"a.c": "int main(void) { return 0; }\n"})
    (tmp_path / "exact.ld").write_text("SECTIONS { .tab : { KEEP(a.o(.tab)) } } INSERT AFTER .data;\n")
    started = Build.start(tmp_path, tmp_path, "a.c", "-T", "exact.ld", "-o", "app")
    started.process.join()
    assert started.process.exitcode == 3
    (line,) = started.log.read_text().splitlines()
    assert "a script names a.o, and no object of a.c has just that name: write *a.o" in line


@needs("ld.bfd")
@pytest.mark.parametrize("kind", ["-shared", "-r"])
def test_scripts_found_as_libraries(tmp_path: Path, kind: str) -> None:
    """They are read for whatever is linked: they assign to symbols and bring in what calls back."""
    hidden = '__attribute__((visibility("hidden"))) int '
    files = {
        "impl.c": f"{hidden}impl(void) {{ return 6; }}\n{hidden}other(void) {{ return 51; }}\n"
        f"{hidden}back(int x) {{ return x + 1; }}\n",
        "api.c": f"int lib(int); {hidden}impl(void);\nint api(void) {{ return impl() * 10 + lib(1); }}\n",
    }
    inputs = write(tmp_path, files)
    clang_archive(tmp_path, "lib.c", "int back(int); int lib(int x) { return back(x) * 2; }\n")
    for name in ("libtold.so", "libtold.a"):
        (tmp_path / name).write_text("INPUT(liblib.a) impl = other;\n")
    words = [*inputs, "-O2", "-fPIC", kind, "-L.", "-ltold", "-fuse-ld=bfd"]
    Build.start(tmp_path, tmp_path, *words, "-o", "ours.so").result()
    subprocess.run([CLANG, *words, "-o", "clangs.so"], cwd=tmp_path, check=True, timeout=60)
    write(tmp_path, {"main.c": SHOW + 'int api(void); int main(void) { SHOW("%d", api()); }\n'})
    for name in ("ours.so", "clangs.so"):
        command = [CLANG, "main.c", str(tmp_path / name), "-o", "app"]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
        assert run(tmp_path / "app").stdout == b"514\n"


def test_our_objects_are_no_archive_to_be_hidden(tmp_path: Path) -> None:
    archive = clang_archive(tmp_path, "native.c", "int native(void) { return 5; }\n")
    write(
        tmp_path,
        {"lib.c": "int native(void); int ours(void) { return native(); }\n"},
    )
    words = ["lib.c", archive, "--emit", "shared", "-o", "lib.so", "--cflag=-fPIC"]
    Build.start(tmp_path, tmp_path, *words, "--", "-Wl,--exclude-libs,ALL").result()
    dynamic = subprocess.run(["nm", "-D", "lib.so"], cwd=tmp_path, capture_output=True, text=True, check=True)
    defined = [line.split()[2] for line in dynamic.stdout.splitlines() if " T " in line]
    assert defined == ["ours"]


def test_options_of_no_link_are_said_to_be_unused(tmp_path: Path) -> None:
    write(tmp_path, {"a.c": "int a(void) { return 1; }\n"})
    words = ["a.c", "--emit", "object", "-o", "a.o", "--", "-Wl,--defsym=b=a"]
    result = Build.start(tmp_path, tmp_path, *words).result()
    assert "--emit object links nothing: not used: -Wl,--defsym=b=a" in result.stdout
    # What a compiler reads, too, clang -c does not call unused.
    words = ["a.c", "--emit", "object", "--sysroot=/", "-B/usr", "-q", "-o", "a.o"]
    assert not Build.start(tmp_path, tmp_path, *words).result().stdout


def test_symbols_that_scripts_of_the_linker_assign(tmp_path: Path) -> None:
    """GNU ld gives `_end` its own value whoever defines it, but not `end`."""
    files = {
        "lib.c": "const int _end = 7, end = 9;\nint read(void) { return _end == 7; }\n",
        "main.c": SHOW + "extern const int _end, end;\nint read(void);\n"
        'int main(void) { SHOW("%d %d %d", end, _end == 7, read()); return 0; }\n',
    }
    compare(tmp_path, files, link=["-fuse-ld=bfd"], options=["--linker", "bfd"], levels=["-O2"])


SHOW_ENDS = (
    SHOW
    + """extern char __etext[], __preinit_array_start[], __preinit_array_end[];
extern char size[] __asm__(".sizeof.mine");
__attribute__((section("mine"), used)) static int placed[3];
int show(void) {
    SHOW("%d %d %d", __etext != 0, __preinit_array_start == __preinit_array_end, (int)(long)size);
    return 0;
}
"""
)


@pytest.mark.parametrize("native", [False, True])
def test_symbols_that_only_some_linkers_define(tmp_path: Path, native: bool) -> None:
    """Needed by the program itself, or by an object."""
    files = {"main.c": "int show(void);\nint main(void) { return show(); }\n"}
    if native:
        natives = [clang_object(tmp_path, "show.c", SHOW_ENDS, "-fno-pic")]
        compare(tmp_path, files, "1 1 12\n", natives=natives, link=["-no-pie"])
    else:
        compare(tmp_path, {**files, "show.c": SHOW_ENDS}, "1 1 12\n", cflags=["-fno-pic"], link=["-no-pie"])


@pytest.mark.parametrize("native", [False, True])
def test_a_piece_of_what_runs_first(tmp_path: Path, native: bool) -> None:
    """It is aligned: what stands before it must be code, too."""
    piece = '__attribute__((section(".init"), naked, used)) void piece(void) { __asm__("nop"); }\n'
    files = {"main.c": "int main(void) { return 7; }\n"}
    if native:
        compare(tmp_path, files, code=7, natives=[clang_object(tmp_path, "piece.c", piece)])
    else:
        compare(tmp_path, {**files, "piece.c": piece}, code=7)


def test_a_library_that_is_a_program(tmp_path: Path) -> None:
    loader = '__attribute__((section(".interp"), used)) const char path[] = "/lib64/ld-linux-x86-64.so.2";\n'
    entry = 'void entry(void) { write(1, "lib\\n", 4); _exit(8); }\n'
    write(tmp_path, {"lib.c": "#include <unistd.h>\n" + loader + entry})
    build(tmp_path, "lib.c", "--emit", "shared", "-Wl,-e,entry", "-O2", "-o", "lib.so")
    done = run(tmp_path / "lib.so")
    assert (done.code, done.stdout) == (8, b"lib\n")


@pytest.mark.parametrize("more", [[], ["-rdynamic"]])
def test_a_common_symbol_takes_its_value_from_an_archive(tmp_path: Path, more: list[str]) -> None:
    archive = clang_archive(tmp_path, "value.c", "int value = 20;\n")
    files = {"main.c": "int value;\nint main(void) { return value; }\n"}
    compare(tmp_path, files, code=20, natives=[archive], cflags=["-fcommon"], link=more)


def test_relocatable_links_take_options_of_gnu_ld(tmp_path: Path) -> None:
    write(
        tmp_path, {"a.c": "int b(void);\nint a(void) { return b(); }\n", "b.c": "int b(void) { return 4; }\n"}
    )
    words = ["-r", "-Wl,--split-by-file", "-Wl,-no-warnings", "-Wl,--sort-common=descending"]
    build(tmp_path, "a.c", "b.c", *words, "-O2", "-o", "both.o")
    (tmp_path / "main.c").write_text("int a(void);\nint main(void) { return a(); }\n")
    subprocess.run([CLANG, "main.c", "both.o", "-o", "app"], cwd=tmp_path, check=True, timeout=60)
    assert run(tmp_path / "app").code == 4


def test_objects_that_split_stacks(tmp_path: Path) -> None:
    """lld refuses any of them in a relocatable link."""
    write(
        tmp_path,
        {"a.c": "int a(void) { return 4; }\n", "main.c": "int a(void);\nint main(void) { return a(); }\n"},
    )
    build(tmp_path, "a.c", "-fsplit-stack", "-O2", "-c", "-o", "a.o")
    subprocess.run(
        [CLANG, "-fsplit-stack", "main.c", "a.o", "-o", "app"], cwd=tmp_path, check=True, timeout=60
    )
    assert run(tmp_path / "app").code == 4
