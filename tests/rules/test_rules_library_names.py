"""A program's own functions may carry the names of library functions."""

from pathlib import Path

from harness import needs_clang
from rules import compare

pytestmark = needs_clang


def test_static_functions_with_the_signatures_of_the_library(tmp_path: Path) -> None:
    text = """\
extern int printf(const char *, ...);
#define OWN static __attribute__((noinline))
OWN unsigned long strlen(const char *s) { return s[0] + 1000; }
OWN int abs(int x) { return x * 100; }
OWN int puts(const char *s) { return printf("own %s\\n", s); }
OWN long read(int fd, void *p, unsigned long n) { return fd + n; }
OWN int toupper(int c) { return c + 1; }
OWN int isdigit(int c) { return c == 'x'; }
OWN int strcmp(const char *a, const char *b) { return a[0] * 2 + b[0]; }
OWN void *malloc(unsigned long n) { static char pool[64]; return pool + n; }
OWN void free(void *p) { *(char *)p = 'F'; }
int main(void) {
    puts("text");
    char *p = malloc(8);
    *p = 'A';
    free(p);
    printf("%lu %d %ld\\n", strlen("abc"), abs(-3), read(1, 0, 5));
    printf("%d %d %d %c %d\\n", toupper('a'), isdigit('7'), strcmp("a", "a"), *p, malloc(1) == malloc(1));
}
"""
    compare(tmp_path, {"main.c": text}, "own text\n1097 -300 6\n98 0 291 F 1\n")


def test_static_memory_functions(tmp_path: Path) -> None:
    text = """\
extern int printf(const char *, ...);
#define OWN static __attribute__((noinline))
OWN void *memset(void *p, int c, unsigned long n) { char *q = p; while (n--) *q++ = c + 1; return p; }
OWN void *memcpy(void *to, const void *from, unsigned long n) { ((char *)to)[0] = 'm'; return to; }
OWN int memcmp(const void *a, const void *b, unsigned long n) { return 77; }
static char one[300], two[300];
int main(int argc, char **argv) {
    memset(one, 'a', 5);
    memcpy(two, "xyz", 3);
    printf("%s %s %d\\n", one, two, memcmp("a", "a", 1));
}
"""
    compare(tmp_path, {"main.c": text}, "bbbbb m 77\n")


def test_external_function_of_the_program_replaces_the_library(tmp_path: Path) -> None:
    files = {
        "own.c": """\
unsigned long strlen(const char *s) { unsigned long n = 0; while (s[n]) n++; return n + 500; }
""",
        "main.c": """\
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv) {
    volatile const char *text = "12";
    printf("%lu\\n", (unsigned long)strlen((const char *)text));
}
""",
    }
    compare(tmp_path, files, "502\n", cflags=["-fno-builtin"])


def test_external_memset_is_not_compiled_into_itself(tmp_path: Path) -> None:
    files = {
        "own.c": """\
static int calls;
void *memset(void *p, int c, unsigned long n) { calls++; for (char *q = p; n--;) *q++ = c; return p; }
int memset_calls(void) { return calls; }
""",
        "main.c": """\
#include <stdio.h>
#include <string.h>
int memset_calls(void);
char buffer[4096];
int main(int argc, char **argv) {
    memset(buffer, 'x', 4000 + argc);
    printf("%c %d\\n", buffer[4000], memset_calls() > 0);
}
""",
    }
    compare(tmp_path, files, "x 1\n")


def test_malloc_and_free_are_interposed(tmp_path: Path) -> None:
    files = {
        "malloc.c": """\
#include <stddef.h>
static char pool[1 << 20];
static size_t used;
static int allocations, frees;
void *malloc(size_t n) { allocations++; void *p = pool + used; used += (n + 31) & ~15ul; return p; }
void free(void *p) { if (p) frees++; }
void *calloc(size_t n, size_t m) { return malloc(n * m); }
void *realloc(void *p, size_t n) {
    char *q = malloc(n);
    for (size_t i = 0; p && i < n; i++) q[i] = ((char *)p)[i];
    return q;
}
int served(void *p) { return (char *)p >= pool && (char *)p < pool + sizeof pool; }
int freed(void) { return frees; }
""",
        "main.c": """\
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int served(void *), freed(void);
int main(void) {
    char *copy = strdup("inside libc");
    int before = freed();
    free(copy);
    printf("%s %d %d\\n", copy, served(copy), freed() - before);
}
""",
    }
    compare(tmp_path, files, "inside libc 1 1\n")


def test_malloc_that_only_the_library_calls(tmp_path: Path) -> None:
    text = """\
#include <string.h>
#include <unistd.h>
static char pool[1 << 16];
static unsigned long used;
void *malloc(unsigned long n) { void *p = pool + used; used += (n + 15) & ~15ul; return p; }
void free(void *p) {}
int main(void) {
    char *copy = strdup("copy");
    write(1, copy >= pool && copy < pool + used ? "ours\\n" : "libc\\n", 5);
}
"""
    compare(tmp_path, {"main.c": text}, "ours\n")


def test_operator_new_is_replaced(tmp_path: Path) -> None:
    files = {
        "new.cpp": """\
#include <cstdio>
#include <cstdlib>
#include <new>
int news, deletes;
void *operator new(std::size_t n) { news++; return std::malloc(n); }
void operator delete(void *p) noexcept { deletes++; std::free(p); }
void operator delete(void *p, std::size_t) noexcept { deletes++; std::free(p); }
""",
        "main.cpp": """\
#include <cstdio>
#include <string>
#include <vector>
extern int news, deletes;
int main(int argc, char **) {
    {
        std::vector<std::string> words(3, std::string(100 + argc, 'x'));
        std::printf("%zu\\n", words[2].size());
    }
    std::printf("%d %d\\n", news == deletes, news > 3);
}
""",
    }
    compare(tmp_path, files, "101\n1 1\n")


def test_reads_of_the_environment_are_not_the_programs(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
static const char *environ[] = {"own", 0};
static int errno_ = 3, stdin_ = 4;
static int exit(int code) { return code + 1; }
static void abort(void) { puts("own abort"); }
static int main_(int main) { return main * 2; }
int main(void) { abort(); printf("%s %d %d\\n", environ[0], exit(errno_), main_(stdin_)); }
"""
    compare(tmp_path, {"main.c": text}, "own abort\nown 4 8\n")
