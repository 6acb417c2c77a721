"""Programs through clangs older than our LLVM: they do what the same clang's own programs do."""

import subprocess
from pathlib import Path

import pytest
from harness import assert_same_behaviour, needs
from rules import Build, write

#: Types that newer LLVMs align in another way, variable arguments, atomics, threads, computed gotos.
C = {
    "main.c": """
        #include <stdarg.h>
        #include <stdatomic.h>
        #include <stdio.h>
        #include "pair.h"
        static _Thread_local int local = 3;
        static atomic_int counter;
        static int sum(int count, ...) {
            va_list list;
            va_start(list, count);
            int total = 0;
            while (count--) total += va_arg(list, int);
            va_end(list);
            return total;
        }
        static int jump(int to) {
            static void *const places[] = {&&zero, &&one};
            goto *places[to];
        zero: return 5;
        one: return 6;
        }
        int main(void) {
            struct pair pair = make((__int128)1 << 100, 7);
            struct bits bits = {1, 2, 3};
            atomic_fetch_add(&counter, local);
            printf("%d %zu %zu ", (int)(pair.wide >> 98), sizeof pair, _Alignof(struct pair));
            printf("%d %d %d ", pair.tail, bits.c, sum(3, 1, 2, 3));
            printf("%d %d %Lg\\n", jump(1), counter, third(1));
            return 0;
        }
        """,
    "pair.c": """
        #include "pair.h"
        struct pair make(__int128 wide, char tail) { struct pair made = {tail, wide, tail}; return made; }
        long double third(int of) { return of / 4.0L; }
        """,
    "pair.h": """
        struct pair { char head; __int128 wide; char tail; };
        struct bits { unsigned a : 3, b : 7; int c; };
        struct pair make(__int128, char);
        long double third(int);
        """,
}
CXX = {
    "main.cpp": """
        #include <atomic>
        #include <cstdio>
        #include <stdexcept>
        #include <string>
        #include <vector>
        struct Base { virtual ~Base() = default; virtual int value() const = 0; };
        struct Derived : Base { int value() const override { return 41; } };
        static int made = [] { return 2; }();
        thread_local std::string name = "name";
        std::atomic<int> count;
        template <class T> T twice(T value) { return value + value; }
        int main() {
            std::vector<int> all{3, 1, 2};
            const Base &base = Derived();
            try {
                all.at(7);
            } catch (const std::out_of_range &) {
                count += twice(base.value() + made);
            }
            std::printf("%d %s %zu\\n", count.load(), name.c_str(), all.size());
        }
        """
}


def compare(space: Path, clang: str, files: dict[str, str], *flags: str) -> None:
    sources = write(space, files)
    build = Build.start(space, space, *sources, *flags, "--clang", clang, "-o", "ours")
    driver = clang.replace("clang", "clang++") if "main.cpp" in files else clang
    subprocess.run([driver, *sources, *flags, "-w", "-o", "theirs"], cwd=space, check=True, timeout=60)
    build.result()
    assert_same_behaviour(space / "ours", space / "theirs")
    again = Build.start(space, space, *sources, *flags, "--clang", clang, "-o", "again")
    assert again.result().misses == 0
    assert (space / "again").read_bytes() == (space / "ours").read_bytes()


def old(clang: str, *flags: str) -> object:
    return pytest.param(clang, flags, marks=needs(clang), id=f"{clang} {' '.join(flags)}")


@pytest.mark.parametrize(
    ("clang", "flags"), [old("clang-14", "-O2"), old("clang-15", "-O0", "-g"), old("clang-16", "-O2", "-g")]
)
def test_c(tmp_path: Path, clang: str, flags: tuple[str, ...]) -> None:
    compare(tmp_path, clang, C, *flags)


@pytest.mark.parametrize(("clang", "flags"), [old("clang-15", "-O0", "-g"), old("clang-16", "-O2")])
def test_cplusplus(tmp_path: Path, clang: str, flags: tuple[str, ...]) -> None:
    compare(tmp_path, clang, CXX, *flags)


#: `llvm.coro.end` has had a value that coroutines of older clangs ask for.
COROUTINES = {
    "main.cpp": """
        #include <coroutine>
        #include <cstdio>
        struct Numbers {
            struct promise_type {
                int value;
                Numbers get_return_object() {
                    return {std::coroutine_handle<promise_type>::from_promise(*this)};
                }
                std::suspend_always initial_suspend() { return {}; }
                std::suspend_always final_suspend() noexcept { return {}; }
                std::suspend_always yield_value(int number) { value = number; return {}; }
                void return_void() {}
                void unhandled_exception() {}
            };
            std::coroutine_handle<promise_type> handle;
            ~Numbers() { handle.destroy(); }
        };
        Numbers squares(int count) { for (int i = 0; i < count; i++) co_yield i * i; }
        int third(int);
        int main() {
            Numbers numbers = squares(6);
            int sum = 0;
            while (numbers.handle.resume(), !numbers.handle.done()) sum += numbers.handle.promise().value;
            std::printf("%d %d\\n", sum, third(9));
        }
        """,
    "third.cpp": "int third(int of) { return of / 3; }",
}


@pytest.mark.parametrize(("clang", "flags"), [old("clang-16", "-O2", "-std=c++20")])
def test_ir_that_is_read_no_more_is_compiled_whole(
    tmp_path: Path, clang: str, flags: tuple[str, ...]
) -> None:
    compare(tmp_path, clang, COROUTINES, *flags)
