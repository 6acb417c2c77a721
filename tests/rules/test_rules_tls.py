"""Thread-local variables keep their model and their one instance per thread."""

from pathlib import Path

import pytest
from harness import build, needs_clang, needs_lld, needs_mold
from rules import clang_object, compare, link_with_clang, write

pytestmark = needs_clang

THREADS = """\
#include <pthread.h>
#include <stdio.h>
extern _Thread_local int shared;
int *address(void);
static _Thread_local int mine = 7;
static void *work(void *unused) {
    shared += 5;
    mine++;
    printf("%d %d %d\\n", shared, *address(), mine);
    return 0;
}
int main(void) {
    pthread_t thread;
    shared = 100;
    pthread_create(&thread, 0, work, 0);
    pthread_join(thread, 0);
    work(0);
}
"""
OTHER = "_Thread_local int shared = 1;\nint *address(void) { return &shared; }\n"


@pytest.mark.parametrize(
    "linker", ["bfd", pytest.param("lld", marks=needs_lld), pytest.param("mold", marks=needs_mold)]
)
def test_extern_and_static_across_files(tmp_path: Path, linker: str) -> None:
    options = ["--linker", linker]
    compare(
        tmp_path, {"main.c": THREADS, "other.c": OTHER}, "6 6 8\n105 105 8\n", options=options, levels=["-O2"]
    )


@pytest.mark.parametrize("model", ["global-dynamic", "local-dynamic", "initial-exec", "local-exec"])
def test_every_model(tmp_path: Path, model: str) -> None:
    word = {"global-dynamic": "", "local-dynamic": "(localdynamic)", "initial-exec": "(initialexec)"}.get(
        model, "(localexec)"
    )
    ir = f"""\
@one = thread_local{word} global i32 1
@two = internal thread_local{word} global i32 2, align 16
define i32 @sum() {{
  %a = call ptr @llvm.threadlocal.address.p0(ptr @one)
  %b = call ptr @llvm.threadlocal.address.p0(ptr @two)
  %c = load i32, ptr %a
  %d = load i32, ptr %b
  store i32 40, ptr %b
  %e = add i32 %c, %d
  ret i32 %e
}}
declare ptr @llvm.threadlocal.address.p0(ptr)
"""
    main = f"""\
#include <stdio.h>
extern _Thread_local int one __attribute__((tls_model("{model}")));
int sum(void);
int main(void) {{ one = 10; int a = sum(); one = 20; printf("%d %d\\n", a, sum()); }}
"""
    compare(tmp_path, {"tls.ll": ir, "main.c": main}, "12 60\n", levels=["-O2"])


def test_with_a_native_object(tmp_path: Path) -> None:
    native = clang_object(tmp_path, "other.c", OTHER)
    compare(tmp_path, {"main.c": THREADS}, "6 6 8\n105 105 8\n", natives=[native])


def test_in_a_shared_library(tmp_path: Path) -> None:
    library = """\
static __thread int calls;
__thread int visible = 3;
int call(void) { return ++calls * 10 + visible; }
"""
    main = """\
#include <stdio.h>
extern __thread int visible;
int call(void);
int main(void) { visible = 5; call(); printf("%d\\n", call()); }
"""
    names = write(tmp_path, {"library.c": library})
    build(tmp_path, *names, "--emit", "shared", "-o", "library.so")
    write(tmp_path, {"main.c": main})
    assert link_with_clang(tmp_path, "main.c", str(tmp_path / "library.so")) == "25\n"


def test_cxx_dynamic_initialisation_across_files(tmp_path: Path) -> None:
    files = {
        "lib.cpp": """\
#include <cstdio>
struct Noisy { int n; Noisy(int n) : n(n) { std::puts("made"); } ~Noisy() { std::puts("gone"); } };
thread_local Noisy noisy(4);
static thread_local int derived = noisy.n * 2;
int get() { return derived; }
""",
        "main.cpp": """\
#include <cstdio>
#include <thread>
struct Noisy { int n; Noisy(int n); ~Noisy(); };
extern thread_local Noisy noisy;
int get();
int main() {
    std::thread([] { std::printf("%d\\n", noisy.n + get()); }).join();
    std::printf("%d\\n", noisy.n++ + get());
}
""",
    }
    compare(tmp_path, files, "made\n12\ngone\nmade\n12\ngone\n")
