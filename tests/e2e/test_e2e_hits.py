"""Edits that change no code are hits: exact counters, and the image of a cold build, byte for byte.

Each edit is made in a copy of a built program. It names what must be compiled again, which is mostly
nothing; where it is something, the reason stands beside it.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from harness import BuildResult, needs_clang, run
from rules import Build, write
from samples import C_FILES, CXX_FILES, MAIN, TABLE

pytestmark = needs_clang


@dataclass(frozen=True)
class Edit:
    """A change to a program, and the names of the units that must be compiled for it."""

    name: str
    #: Pieces of text, replaced wherever they stand in `file`, or in all files.
    changes: Mapping[str, str] = field(default_factory=dict)
    file: str = ""
    flags: Sequence[str] = ()
    #: The inputs' order, if it changes.
    order: Sequence[str] = ()
    compiled: Sequence[str] = ()
    #: At -O2, where that differs.
    optimized: Sequence[str] | None = None

    def expected(self, level: str) -> list[str]:
        return sorted(self.compiled if level == "-O0" or self.optimized is None else self.optimized)

    def apply(self, files: Mapping[str, str]) -> dict[str, str]:
        changed = dict(files)
        for old, new in self.changes.items():
            names = [name for name, text in changed.items() if old in text and self.file in ("", name)]
            assert names, f"no file has {old!r}"
            for name in names:
                changed[name] = changed[name].replace(old, new)
        return changed


def on_top(text: str) -> dict[str, str]:
    """The change that puts text on top of a file, under its includes."""
    return {'#include "table.h"\n': f'#include "table.h"\n{text}'}


GREETING = 'const char *greeting(void) { return "hello"; }\n'
UNUSED = "int unused(int x) { return x * 5; }\n"
LOOP = "int loop(int n) { for (int i = 0; i < n; i++) n -= i * i; return n; }\n"
COLD = "__attribute__((cold, noinline, optnone)) int odd(int n) { return n & 1; }\n"
NAME_OF = TABLE[TABLE.index("const char *name_of") :]
PAINT = MAIN[MAIN.index("enum color paint(") : MAIN.index("int main")]

C_EDITS = [
    Edit("nothing"),
    # Text.
    Edit("comment and blank lines on top", on_top("/* a comment */\n\n")),
    Edit("blank line in a function", {"int turns": "\n    int turns"}),
    Edit("macro renamed", {"ROOM": "CAPACITY", "SCALED": "HALVED"}),
    Edit("include", on_top("#include <math.h>\n#include <stdlib.h>\n#include <string.h>\n"), "table.c"),
    # Names.
    Edit("struct used by pointer renamed", {"struct item": "struct list_element"}),
    Edit("struct used by value renamed", {"struct range": "struct interval_of_numbers"}),
    Edit("member renamed", {"weight": "heaviness"}),
    Edit("enum renamed", {"enum color": "enum paint_color"}),
    Edit("enumerators renamed", {"RED": "ROUGE", "GREEN": "VERT", "BLUE": "BLEU"}),
    Edit("typedef renamed", {"count_t": "counter_type"}),
    Edit("function renamed", {"range_of": "interval"}),
    Edit("called function renamed", {"insert(": "add_item("}),
    Edit("static function renamed", {"clamp": "limited"}),
    Edit("function with asm renamed", {"spin": "turn"}),
    Edit("global variable renamed", {"inserted": "insertions"}),
    Edit("static variables renamed", {"used": "filled", "primes": "steps_down"}),
    Edit("static local variable renamed", {"calls": "times"}),
    Edit("function with a static local renamed", {"share(": "part("}),
    Edit("local variable renamed", {"turns": "rounds"}),
    Edit("parameter renamed", {"value": "given"}),
    # Additions.
    Edit("unused function", on_top(UNUSED), "table.c"),
    Edit("unused static function", on_top("static " + UNUSED), "table.c"),
    Edit("unused function with a string", on_top(GREETING), "main.c"),
    Edit("new function", on_top("__attribute__((used)) " + LOOP), "table.c", compiled=["loop"]),
    Edit(
        "function with a string",
        on_top("__attribute__((used)) " + GREETING),
        compiled=["greeting"],
        file="main.c",
    ),
    Edit("function with a loop on top", on_top(LOOP), "table.c"),
    Edit("function with other attributes on top", on_top(COLD), "table.c"),
    Edit(
        "call of a new function",
        on_top(GREETING) | {"main(void) {": "main(void) { greeting();"},
        "main.c",
        compiled=["greeting", "main"],
        optimized=["main"],
    ),
    Edit(
        # What another file may call is compiled alone however often it is called.
        "unused function that calls another",
        on_top("long unused(const struct item *item) { return range_of(item).low; }\n"),
        "table.c",
    ),
    # Order.
    Edit(
        "declarations in another order",
        {
            "extern count_t inserted;\n": "",
            "enum color paint(int key);\n": "enum color paint(int key);\nextern count_t inserted;\n",
        },
        "table.h",
    ),
    Edit(
        "types in another order",
        {
            "struct range {\n    long low, high;\n};\n": "",
            "#define ROOM 16\n": "#define ROOM 16\nstruct range {\n    long low, high;\n};\n",
        },
        "table.h",
    ),
    Edit(
        "definitions in another order",
        {PAINT: "", "static struct item table": f"{PAINT}static struct item table"},
        "main.c",
    ),
    Edit(
        # What a file says of its own functions (attributes, dso_local) its callers see.
        "function moved to another file",
        {NAME_OF: "", "int main(void) {": f"{NAME_OF}int main(void) {{"},
        compiled=["main"],
    ),
    Edit("declaration added", on_top("static int spin(int);\n"), "table.c"),
    Edit("files swapped", order=["main.c", "table.c"]),
    # Linkage: a static function is hidden, which its object says, and so do those that mention it.
    Edit(
        "static made extern",
        {"static int spin": "int spin"},
        compiled=["insert", "spin"],
    ),
    Edit(
        # It is emitted earlier, and the variables that it mentions with it.
        "inlined static made extern",
        {"static int clamp": "int clamp"},
        compiled=["clamp", "data:table.c", "insert"],
        optimized=["data:table.c", "insert"],
    ),
    Edit(
        "extern made static",
        {"enum color paint(": "static enum color paint("},
        compiled=["paint", "painter.main"],  # painter holds its address
    ),
    # Flags.
    Edit("warnings", flags=["--cflag=-Wall", "--cflag=-Wextra"]),
    Edit("macro that nobody reads", flags=["-DNDEBUG"]),
    Edit("names of values", flags=["--cflag=-fno-discard-value-names"]),
    Edit("one worker", flags=["-j1"]),
    Edit("four workers", flags=["-j4"]),
]

# C++ programs hold the names of polymorphic and thrown types: those are data. Its length is in the type
# information's unit as well, but in no function.
CXX_EDITS = [
    Edit("nothing"),
    Edit("comment on top", {"#pragma once\n": "#pragma once\n\n// a comment\n"}),
    Edit(
        "struct used by pointer renamed",
        {"Shape": "AbstractFigure"},
        compiled=["_ZTIN6shapes14AbstractFigureE", "data:shapes.cpp"],
    ),
    Edit("struct used by value renamed", {"Point": "Position"}),
    Edit("derived struct renamed", {"Circle": "Ring"}, compiled=["_ZTIN6shapes4RingE", "data:shapes.cpp"]),
    Edit(
        "thrown struct renamed",
        {"Failure": "DeepTrouble"},
        compiled=["_ZTIN6shapes11DeepTroubleE", "data:shapes.cpp"],
    ),
    Edit(
        "namespace renamed",
        {"shapes::": "figures::", "namespace shapes": "namespace figures"},
        compiled=[
            "_ZTIN7figures5ShapeE",
            "_ZTIN7figures6CircleE",
            "_ZTIN7figures7FailureE",
            "data:shapes.cpp",
        ],
    ),
    Edit("enum class renamed", {"Kind": "Form"}),
    Edit("template renamed", {"Stack": "Pile"}),
    Edit(
        "template parameter renamed", {"class T,": "class Type,", "T &": "Type &", "T ": "Type "}, "shapes.h"
    ),
    Edit("method renamed", {"peak": "maximum"}),
    Edit("virtual method renamed", {"area": "surface"}),
    Edit("variable that holds a lambda renamed", {"twice": "doubled"}),
    Edit(
        "anonymous namespace made static",
        {
            "namespace {\n": "",
            "} // namespace\n": "",
            "int limit": "static int limit",
            "int deep": "static int deep",
        },
    ),
    Edit("unused method", {"    T pop()": "    T top() const { return items[size - 1]; }\n    T pop()"}),
    Edit("include", {"#include <cstdio>\n": "#include <cstdio>\n#include <map>\n#include <vector>\n"}),
    Edit(
        # What both files define is the first one's, and so is its data.
        "files swapped",
        order=["main.cpp", "shapes.cpp"],
        compiled=["data:main.cpp", "data:shapes.cpp"],
    ),
    Edit("names of values", flags=["--cflag=-fno-discard-value-names"]),
]


def start(
    space: Path, folder: str, sources: Sequence[str], *words: str, cache: str | Path = "cache"
) -> Build:
    """Start a build in `space` of `space`/`folder`/image."""
    (space / folder).mkdir(exist_ok=True)
    words = (*words, "--cache-dir", str(space / cache), "-o", f"{folder}/image")
    return Build.start(space, space / folder, *sources, *words)


@pytest.fixture(scope="module")
def built(level: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of the C and the C++ program, each built with a cache of its own."""
    spaces = {}
    for language, files in (("c", C_FILES), ("c++", CXX_FILES)):
        spaces[language] = tmp_path_factory.mktemp("hits")
        start(spaces[language], "old", write(spaces[language], files), level).result()
    return spaces


def rebuild(before: Path, space: Path, change: Edit, files: Mapping[str, str], level: str) -> BuildResult:
    """Build an edited copy of a program with its cache and with none, which gives the same image."""
    shutil.copytree(before, space, dirs_exist_ok=True)
    sources = change.order or write(space, change.apply(files))
    warm = start(space, "warm", sources, level, *change.flags)
    cold = start(space, "cold", sources, level, *change.flags, cache="empty")
    result = warm.result()
    assert cold.result().stats["saved_seconds"] == 0
    assert (space / "warm" / "image").read_bytes() == (space / "cold" / "image").read_bytes()
    assert run(space / "warm" / "image") == run(space / "old" / "image")
    return result


#: How units without code are called: a file's variables, and variables that hold addresses.
DATA = ("data:", "_ZTI", "painter", "__const")


def assert_compiled(result: BuildResult, expected: Sequence[str]) -> None:
    """Exactly these units were compiled, and every other function was a hit."""
    assert sorted(result.compiled) == sorted(expected)
    functions = [name for name in expected if not name.startswith(DATA)]
    assert result.stats["function_hits"] == result.stats["functions"] - len(functions)
    assert (result.hits, result.misses) == (result.stats["units"] - len(expected), len(expected))


@pytest.mark.family(5)
@pytest.mark.parametrize("change", C_EDITS, ids=lambda change: change.name)
def test_c(built: dict[str, Path], tmp_path: Path, change: Edit, level: str) -> None:
    assert_compiled(rebuild(built["c"], tmp_path, change, C_FILES, level), change.expected(level))


@pytest.mark.family(5)
@pytest.mark.parametrize("change", CXX_EDITS, ids=lambda change: change.name)
def test_cxx(built: dict[str, Path], tmp_path: Path, change: Edit, level: str) -> None:
    assert_compiled(rebuild(built["c++"], tmp_path, change, CXX_FILES, level), change.expected(level))


def test_an_edit_taken_back(built: dict[str, Path], tmp_path: Path, level: str) -> None:
    change = Edit("", {"static int spin": "int spin"})
    assert rebuild(built["c"], tmp_path, change, C_FILES, level).misses > 0
    back = start(tmp_path, "back", write(tmp_path, C_FILES), level).result()
    assert_compiled(back, [])
    assert (tmp_path / "back" / "image").read_bytes() == (tmp_path / "old" / "image").read_bytes()


@pytest.mark.parametrize("language", ["c", "c++"])
def test_renamed_files(built: dict[str, Path], tmp_path: Path, language: str, level: str) -> None:
    shutil.copytree(built[language], tmp_path, dirs_exist_ok=True)
    sources = write(tmp_path, {"c": C_FILES, "c++": CXX_FILES}[language])
    renamed = [str((tmp_path / name).rename(tmp_path / f"new-{name}").name) for name in sources]
    assert_compiled(start(tmp_path, "warm", renamed, level).result(), [])


@pytest.mark.parametrize("language", ["c", "c++"])
def test_another_folder(built: dict[str, Path], tmp_path: Path, language: str, level: str) -> None:
    before, space = built[language], tmp_path / "deep" / "down"
    space.mkdir(parents=True)
    sources = write(space, {"c": C_FILES, "c++": CXX_FILES}[language])
    absolute = [str(space / name) for name in sources]
    assert_compiled(start(space, "warm", absolute, level, cache=before / "cache").result(), [])
    assert (space / "warm" / "image").read_bytes() == (before / "old" / "image").read_bytes()


NOTES = """\
#include <assert.h>
#include <stdio.h>
#define NOINLINE __attribute__((noinline))
NOINLINE int checked(int x) { assert(x > 0); return x; }
NOINLINE int line(void) { return __LINE__; }
NOINLINE const char *file(void) { return __FILE__; }
NOINLINE const char *name(void) { return __func__; }
int main(void) { printf("%d %d %s %s\\n", checked(1), line() > 0, file(), name()); }
"""


@pytest.mark.parametrize(
    ("text", "flags", "compiled"),
    [
        ("// moved down\n" + NOTES, [], ["checked", "line"]),  # assert() holds the line as well
        (NOTES.replace("name(", "title("), [], ["title"]),  # holds its own name
        (NOTES, ["-DNDEBUG"], ["checked"]),
        (NOTES, ["-DOTHER"], []),
    ],
    ids=["lines", "function name", "NDEBUG", "other macro"],
)
def test_what_a_source_says_of_itself_is_code(
    tmp_path: Path, text: str, flags: list[str], compiled: list[str], level: str
) -> None:
    start(tmp_path, "cold", write(tmp_path, {"main.c": NOTES}), level).result()
    warm = start(tmp_path, "warm", write(tmp_path, {"main.c": text}), level, *flags).result()
    assert_compiled(warm, compiled)


def test_the_name_of_the_file_is_code_where_it_is_used(tmp_path: Path, level: str) -> None:
    start(tmp_path, "cold", write(tmp_path, {"main.c": NOTES}), level).result()
    # Under another relative name, or an absolute one in another folder.
    warm = start(tmp_path, "warm", [str(tmp_path / "main.c")], level).result()
    assert_compiled(warm, ["checked", "file"])


#: Functions of one project; another one has them under other names, in another file, among others.
LIBRARY = """\
#include <stdio.h>
#include <string.h>
#define NOINLINE __attribute__((noinline))
struct node {
    struct node *next;
    const char *text;
    long weight;
    float share;
};
static const char *const words[] = {"zero", "one", "two", "three"};
static const int weights[] = {3, 1, 4, 1, 5};
static int counted;
static int cheap(long weight) { return weight < 4 && ++counted < 100; }
NOINLINE static void describe(struct node *node) {
    node->text = cheap(node->weight) ? words[node->weight] : "many";
}
NOINLINE float weigh(struct node *node) {
    float sum = 0;
    for (; node; node = node->next) {
        node->weight = weights[(unsigned long)node->weight % 5];
        describe(node);
        describe(node);
        sum += node->share * (float)node->weight;
    }
    return sum;
}
NOINLINE int compare(const struct node *one, const struct node *other) {
    int order = strcmp(one->text, other->text);
    fprintf(stdout, "%s %s %d\\n", one->text, other->text, counted);
    return order ? order : cheap(one->weight) - cheap(other->weight);
}
"""
LIBRARY_NAMES = {
    "node": "list_cell",
    "words": "labels",
    "weights": "table_of_weights",
    "describe": "set_label",
    "cheap": "is_low",
    "counted": "total",
    "weigh": "sum_up",
    "compare": "order_of",
    "text": "label",
}
USER = """\
int main(void) {
    struct node last = {0, "", 2, 0.5f}, first = {&last, "", 3, 0.25f};
    float sum = weigh(&first) + weigh(&first);
    printf("%g %d %d\\n", sum, compare(&first, &last), compare(&last, &first));
}
"""
OTHER_PROJECT = """\
struct config { int verbose; double ratio; };
static const char *const messages[] = {"starting", "stopping"};
static struct config config = {1, 0.5};
int spare(int n) { for (int i = 0; i < n; i++) n ^= i; return n; }
const char *message(int n) { return config.verbose ? messages[n & 1] : "nothing"; }
"""
OTHER_USER = """\
int main(void) {
    struct list_cell last = {0, "", 1, 2.5f};
    printf("%g %g %d\\n", sum_up(&last), sum_up(&last), order_of(&last, &last));
    puts(message(spare(3)));
    return order_of(&last, &last) + spare(0);
}
"""


def test_the_same_functions_in_another_program(tmp_path: Path, level: str) -> None:
    start(tmp_path, "cold", write(tmp_path, {"one.c": LIBRARY + USER}), level).result()
    renamed = LIBRARY
    for old, new in LIBRARY_NAMES.items():
        renamed = re.sub(rf"\b{old}\b", new, renamed)
    library = renamed.replace("struct list_cell {", f"{OTHER_PROJECT}struct list_cell {{", 1)
    other = start(tmp_path, "other", write(tmp_path, {"other.c": library + OTHER_USER}), level).result()
    fresh = {"-O0": ["main", "message", "spare"], "-O2": ["main"]}
    assert_compiled(other, [*fresh[level], "__const.main.last.other", "data:other.c"])


def test_a_whole_file_in_another_program(tmp_path: Path, level: str) -> None:
    user = """\
#include <stdio.h>
#include "table.h"
enum color paint(int key) { return key & 1 ? RED : BLUE; }
int main(int argc, char **argv) {
    struct item items[ROOM], *last;
    count_t steps = 0;
    for (int i = 0; i < argc; i++)
        last = i ? insert(items, i, 1) : insert(items, mix(i), 2);
    printf("%f %f\\n", total(last, &steps), total(items, &steps));
    puts(range_of(last).low > range_of(items).high ? name_of(paint(argc)) : name_of(GREEN));
}
"""
    start(tmp_path, "one", write(tmp_path, {**C_FILES, "main.c": user}), level).result()
    other = start(tmp_path, "other", write(tmp_path, C_FILES), level).result()
    assert_compiled(other, ["data:main.c", "main", "paint", "painter.main", "share"])


def test_the_same_templates_and_methods_in_another_program(
    built: dict[str, Path], tmp_path: Path, level: str
) -> None:
    names = {"shapes": "figures", "Shape": "Figure", "Circle": "Ring", "Stack": "Pile", "Point": "Place"}
    order = {"figures.h": "shapes.h", "first.cpp": "main.cpp", "second.cpp": "shapes.cpp"}
    files = {new: CXX_FILES[old] for new, old in order.items()}
    for old, new in (names | {"peak": "maximum", "Failure": "Trouble"}).items():
        files = {name: re.sub(rf"\b{old}\b", new, text) for name, text in files.items()}
    cache = built["c++"] / "cache"
    other = start(tmp_path, "other", write(tmp_path, files), level, cache=cache).result()
    assert other.stats["function_hits"] == other.stats["functions"]
    assert run(tmp_path / "other" / "image") == run(built["c++"] / "old" / "image")


def test_one_static_function_in_two_files(tmp_path: Path, level: str) -> None:
    one = """\
struct pair { int *key; float *value; };
__attribute__((noinline)) static int helper(struct pair *pair) {
    *pair->key = 1;
    *pair->value = 2;
    return *pair->key + 3;
}
int one(int x) { float y; struct pair pair = {&x, &y}; return helper(&pair) + helper(&pair); }
"""
    files = {
        "one.c": one,
        "two.c": "int first = 1;\n" + one.replace("pair", "couple").replace("one", "two"),
        "main.c": "int one(int), two(int);\nint main(void) { return one(1) + one(2) - two(1) - two(2); }\n",
    }
    cold = start(tmp_path, "cold", write(tmp_path, files), level).result()
    # two() is one() by another name, and so are their helpers; at -O2 both are a part of main().
    assert sorted(cold.compiled) == (["helper", "main", "one"] if level == "-O0" else ["helper", "main"])
    assert cold.stats["shared"] == (2 if level == "-O0" else 1)
