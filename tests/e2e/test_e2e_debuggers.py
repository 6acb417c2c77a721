"""gdb and lldb show the same program in our image as in clang's: scripted sessions on both, compared.

A session is a list of commands. Where the replies differ, the lines that do are listed in the test with the
reason; anything else that differs fails, and so does a listed difference that is gone.
"""

import difflib
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from harness import PROGRAMS, Program, build, edit, needs, needs_clang, needs_gdb, needs_lld

pytestmark = [needs_clang, needs_lld]
needs_lldb = needs("lldb-22")

SOURCES = PROGRAMS / "debug"


#: A command, our lines, and clang's.
Difference = tuple[str, str, str]
Debugger = Callable[[Path, Sequence[str], Path], str]

#: What depends on where things are, and how symbols (not debug information) are called: those of literals are
#: seen by the linker.
_VARYING = (
    (re.compile(r"0x[0-9a-f]{4,}"), "ADDRESS"),
    (re.compile(r"0xADDRESS at "), "ADDRESS at "),
    (re.compile(r"^\$\d+ = |(?<=returned is )\$\d+", re.MULTILINE), "$ = "),
    (re.compile(r"\b([Pp]rocess|LWP) \d+"), r"\1 N"),
    (re.compile(r" <\.Lnc\.c\.\d+>"), ""),
)


def gdb(image: Path, commands: Sequence[str], folder: Path) -> str:
    settings = (
        "set debuginfod enabled off",
        "set width 0",
        "set confirm off",
        "set print frame-arguments all",
    )
    arguments = [part for setting in settings for part in ("-iex", setting)]
    for command in commands:
        arguments += ["-ex", f"echo >>> {command}\\n", "-ex", command]
    return transcript(["gdb", "-nx", "-q", "-batch", *arguments, str(image)], folder)


def lldb(image: Path, commands: Sequence[str], folder: Path) -> str:
    script = image.with_suffix(".lldb")
    script.write_text("\n".join(commands) + "\n")
    source = f"command source -e false {script}"  # -o alone would stop at the first error
    options = ("--no-lldbinit", "--batch", "--no-use-colors", "-o", source)
    text = transcript(["lldb-22", *options, str(image)], folder)
    return re.sub(r"^\(lldb\) ", ">>> ", text, flags=re.MULTILINE)


def transcript(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return done.stdout


def replies(debugger: Debugger, image: Path, session: Sequence[str], folder: Path) -> list[list[str]]:
    """Each command with the lines of its reply."""
    text = debugger(image, session, folder).replace(str(image), "IMAGE").replace(str(folder), "FOLDER")
    for pattern, plain in _VARYING:
        text = pattern.sub(plain, text)
    return [part.splitlines() for part in re.split(r"^>>> ", text, flags=re.MULTILINE)[1:]]


def differences(
    debugger: Debugger, ours: Path, clangs: Path, session: Sequence[str], folder: Path
) -> list[Difference]:
    found = []
    pair = [replies(debugger, image, session, folder) for image in (ours, clangs)]
    for mine, theirs in zip(*pair, strict=True):
        matcher = difflib.SequenceMatcher(None, mine, theirs, autojunk=False)
        for kind, a, b, c, d in matcher.get_opcodes():
            if kind != "equal":
                found.append((mine[0], "\n".join(mine[a:b]), "\n".join(theirs[c:d])))
    return found


def repeated(line: str, times: int) -> str:
    return "\n".join([line] * times)


def lines(session: str) -> list[str]:
    return [line for line in session.splitlines() if line]


def both(program: Program, *options: str) -> tuple[Path, Path]:
    """Our image and clang's, under one name in folders of equally long names."""
    for folder in ("ours", "them"):
        (program.space / folder).mkdir(exist_ok=True)
    program.build("ours/image", *options)
    clang = "clang++-22" if program.sources[0].endswith(".cpp") else "clang-22"
    command = [clang, *program.sources, *program.flags, *options, "-o", str(program.space / "them/image")]
    subprocess.run(command, cwd=program.path(), check=True)
    return program.space / "ours/image", program.space / "them/image"


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """A program in C; every session on it is run with the cache that the first one filled."""
    return Program.copied(
        tmp_path_factory.mktemp("shapes"), *SOURCES.iterdir(), sources=("shapes.c", "nodes.c"), flags=("-g",)
    )


@pytest.fixture(scope="module")
def animals(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """One in C++. libstdc++ comes without debug information: the types of std::string are ours to bring."""
    return Program.copied(
        tmp_path_factory.mktemp("animals"),
        *SOURCES.iterdir(),
        sources=("animals.cpp", "zoo.cpp"),
        flags=("-g", "-fstandalone-debug"),
    )


MODE = """Symbol OFF is a constant with value 0 (0x0), length 4.
Symbol ON is a constant with value 4 (0x4), length 4.
Symbol Mode is a typedef."""

C_IN_GDB = """
break main
break helper
break shapes.c:107
break grammar.y:1001
break statics
info breakpoints
info line visit
info line shapes.c:120
list factorial
list nodes.c:34,38
info scope local_types
info scope nodes.c:37
info types Node
info types Kind
info functions helper
ptype struct Shape
ptype Visit
whatis visit
whatis shapes
print sizeof(struct Shape)
print sizeof(union Value)
ptype enum Colour
ptype Size
ptype struct Flags
ptype/o struct Shape
print limit
print ratio
print table
print &table
print folded
print 'shapes.c'::folded
print 'nodes.c'::folded
print RED
print (enum Colour)5
print BLUE
run
backtrace
info args
info locals
next
next
print origin
print *where
print where->y
break visit
continue
backtrace
print *shape
print shape->corners
print shape->corners[1]
print shape->inner
print shape->flags
print shape->value
print *shape->next
print *shape->opaque
print shape->opaque->holder
print *shape->opaque->holder
ptype shape
ptype shape->opaque
ptype *shape
whatis *shape
whatis shape->corners[1]
info source
next
next
step
info locals
finish
continue
backtrace
info args
next
next
print node
print *head
print count
ptype node
ptype struct Node
info locals
watch count
continue
continue
delete 7
continue
backtrace
up
info locals
print pair
ptype pair
down
step
step
step
info locals
print node
print *node.left
ptype node
ptype struct Node
print kind
print holder
print tree
print count
print folded
ptype struct Holder
ptype struct Pair
continue
info locals
next
next
next
info locals
until
continue
next
info locals
tbreak make_pair
continue
step
info locals
finish
tbreak sum_big
continue
next
next
next
info locals
print big.numbers[1]@3
until 116
tbreak local_types
continue
next
next
info locals
ptype local
ptype mode
whatis alias
ptype alias
print *alias
print local.deep
continue
next
info locals
continue
info source
step
info locals
backtrace
tbreak loops
continue
info args
next
next
next
print array
ptype array
whatis array
info locals
tbreak factorial if n == 1
continue
backtrace
frame 2
info args
finish
print factorial(4)
print make_pair(1, 2.0)
print clamp(3, 2)
print calls
print *head
print wide
print shapes
print/x shapes[1].flags
set var shapes[0].flags.b = 3
print shapes[0].flags
set var total = 5
print total
delete
continue
"""

C_IN_LLDB = """
breakpoint set -n helper
breakpoint set -f shapes.c -l 120
breakpoint set -n visit
breakpoint set -n main
target variable limit
target variable ratio
target variable table
image lookup -t Shape
image lookup -t Node
image lookup -t Colour
type lookup Shape
type lookup Value
run
frame variable
next
next
frame variable
frame variable *where
continue
bt
frame variable
frame variable *shape
expression *shape->next
expression shape->colour
expression shape->flags
expression *shape->opaque
expression *shape->opaque->holder
expression sizeof(struct Shape)
expression (int)BLUE
continue
frame variable
next
next
next
frame variable
expression node
expression *head
expression count
expression folded
continue
bt
next
next
next
next
frame variable
expression node
expression *node.left
expression kind
expression count
expression holder
expression folded
expression (enum Kind)3
up
frame variable
breakpoint set -n statics
continue
continue
frame variable
target variable twice
next
next
frame variable
finish
breakpoint set -n sum_big
continue
frame variable
next
next
next
frame variable
breakpoint set -n local_types
continue
next
next
frame variable
expression *alias
expression mode
expression local.deep
continue
frame variable
breakpoint set -n factorial
breakpoint delete 1
continue
continue
continue
bt
frame select 2
frame variable
expression factorial(4)
expression make_pair(1, 2.0)
expression clamp(3, 2)
expression shapes[1]
"""

VTABLE = "    static void *_vtable$;"
NO_VTABLE = ", static _vtable$ = <optimized out>"
SECRETS = "48:\tzoo::Ring<(anonymous namespace)::Secret, 2>;"
COW = (
    "$ = {_vptr$Animal = ADDRESS <vtable for zoo::Animal+16>, static born = 2, static most = 12,"
    ' name_ = "cow", legs_ = 4%s}'
)
OTTER = (
    "$ = {<zoo::Animal> = {_vptr$Animal = ADDRESS <vtable for zoo::Otter+24>, static born = 2,"
    ' static most = 12, name_ = "otto", legs_ = 4%s}, <zoo::Swimmer> = {_vptr$Swimmer = ADDRESS'
    " <vtable for zoo::Otter+88>, fins = 2%s}, toy_ = {weight = 6, diet = zoo::Diet::meat}%s}"
)
NOT_CALLED = "  $__lldb_func::0x1:%s:_ZNK3zoo6Animal4nameB5cxx11Ev"
STOPPED = "* thread #1, name = 'image', stop reason = breakpoint 12.%d"

CXX_IN_GDB = """
break zoo::feed
break hidden
break use_lambda
break containers
break might_throw
break zoo::Otter::noise
info breakpoints
ptype zoo::Animal
ptype zoo::Otter
ptype zoo::Otter::Toy
ptype zoo::Diet
whatis zoo::Animal::born
print zoo::Animal::born
print zoo::Animal::most
print zoo::deep::lost
print lost
print quiet
print sizeof(zoo::Otter)
ptype zoo::Ring<short, 4>
ptype Error
ptype z::Diet
ptype Diet
info line zoo::Otter::depth
list zoo::Animal::noise
info types Secret
info functions noise
info scope references
catch throw
run
backtrace
up
info locals
print animals
print secret
print small
ptype secret
whatis secrets
ptype secrets
print ring
whatis ring
info locals
ptype Secret
print *animals[0]
print animals[1]
print animals.size()
down
next
next
step
info locals
print animal
print one
print one.name()
info vtbl one
print one.legs()
print *this
print one.legs_
set print object on
print one
whatis one
set print object off
continue
backtrace
print *this
print this
whatis this
ptype this
print loud
print this->toy_
print toy_.diet
print depth()
info locals
next
print base
finish
continue
backtrace
print secret
ptype secret
ptype Secret
print seen
next
print seen
up
info locals
print kind
continue
backtrace
print secret
ptype Secret
print seen
up
info locals
print kind
print secret
print ring
ptype ring
print *secret.next
tbreak zoo::deep::fish
continue
info args
print it
print *&it
print lost
finish
tbreak zoo::twice<int>
continue
next
info locals
backtrace
tbreak zoo::twice<double>
continue
next
info locals
continue
backtrace
info locals
continue
backtrace
info locals
continue
backtrace 3
continue
next
next
step
info locals
info args
print *this
ptype this
print sum
next
print sum
finish
tbreak references
continue
info args
print in
print toy
print moved
next
next
next
info locals
ptype in
ptype moved
continue
next
next
next
next
next
next
info locals
print numbers
print ages
print text
print *one
print toys
print toys[1].diet
print numbers[2]
ptype toys
whatis ages
print text.size()
tbreak Outer<long>::get
continue
next
info locals
print *this
ptype this
ptype local
print inner.value
up
print outer
print ring.last()
print zoo::twice(4)
print quiet
delete
continue
"""

CXX_IN_LLDB = """
breakpoint set -n feed
breakpoint set -n hidden
breakpoint set -n might_throw
breakpoint set -n zoo::Otter::noise
target variable zoo::Animal::born
target variable quiet
type lookup zoo::Animal
type lookup zoo::Diet
type lookup zoo::Otter::Toy
breakpoint set -E c++
run
bt
frame variable
up
frame variable
expression secret
expression lost
expression small
expression ring
expression ring.last()
expression animals.size()
frame variable animals
frame variable *animals[0]
down
next
next
next
frame variable
expression one.legs()
expression one.name()
continue
bt
frame variable
frame variable *this
expression *this
expression toy_.diet
expression depth()
expression legs_
finish
continue
bt
frame variable
expression seen
next
expression seen
up
frame variable
continue
bt
frame variable
expression seen
up
frame variable
expression *secret.next
expression kind
breakpoint set -n twice<int>
breakpoint set -n twice<double>
breakpoint set -n fish
continue
frame variable
finish
continue
bt
next
frame variable
continue
next
frame variable
continue
bt
frame variable
continue
bt
frame variable
continue
breakpoint set -n use_lambda
breakpoint set -n references
breakpoint set -n containers
breakpoint set -n get
continue
frame variable
next
next
step
bt
frame variable
next
next
frame variable
continue
frame variable
next
next
next
frame variable
continue
next
next
next
next
next
next
frame variable
frame variable numbers[2]
expression toys[1].diet
expression text.size()
frame variable *one
continue
"""


@needs_gdb
def test_c_in_gdb(shapes: Program) -> None:
    ours, clangs = both(shapes, "-O0")
    assert differences(gdb, ours, clangs, lines(C_IN_GDB), shapes.path()) == [
        # gdb goes through all units of that file, and each leads it to the one that has the line.
        (
            "info line shapes.c:120",
            repeated(
                'Line 120 of "shapes.c" starts at address ADDRESS <local_types+41>'
                " and ends at ADDRESS <local_types+51>.",
                13,
            ),
            "",
        ),
        # Likewise: it takes them for files of one name. `list nodes.c:34` does.
        (
            "list nodes.c:34,38",
            "Specified first and last lines are in different files.",
            "34\t    count += (int)(node.key + folded) + kind;\n"
            "35\t    tree.left = 0;\n"
            "36\t    return count + (int)strlen(holder.node->tag);\n"
            "37\t}\n"
            "38\t",
        ),
        # The same names in another order: clang's unit begins with its enumerations.
        ("info scope local_types", "", MODE),
        ("info scope local_types", MODE, ""),
        # Nothing runs, so no file is meant: gdb takes the first it finds.
        ("print folded", "$ = 17", "$ = 99"),
        # `main` is in shapes.c but has no variable of these types: their definitions are in units of their
        # own, and gdb takes the first it finds.
        (
            "ptype struct Node",
            "    char tag[8];\n    struct Node *left;\n    struct Node *right;\n    double key;",
            "    struct Node *next;\n    int weight;\n    Point at;",
        ),
        (
            "ptype struct Pair",
            "    char kind;\n    struct Node *node;",
            "    long first;\n    double second;",
        ),
    ]


@needs_lldb
def test_c_in_lldb(shapes: Program) -> None:
    ours, clangs = both(shapes, "-O0")
    assert differences(lldb, ours, clangs, lines(C_IN_LLDB), shapes.path()) == []


@needs_gdb
def test_cxx_in_gdb(animals: Program) -> None:
    ours, clangs = both(animals, "-O0")
    assert differences(gdb, ours, clangs, lines(CXX_IN_GDB), animals.path()) == [
        # clang describes virtual tables as artificial members; we do so where the tables are. With them gdb
        # marks where access changes, and fails to find `legs_` in a class with a virtual base.
        ("ptype zoo::Otter", "", VTABLE),
        ("ptype Error", "", "  public:"),
        ("ptype Error", "", f"  private:\n{VTABLE}\n"),
        # Which file a header's types are in gdb 13 does not see in units without code.
        ("info types Secret", SECRETS, ""),
        ("info types Secret", SECRETS, ""),
        ("print *animals[0]", COW % "", COW % NO_VTABLE),
        ("print *this", OTTER % ("", "", ""), OTTER % (NO_VTABLE, NO_VTABLE, NO_VTABLE)),
        ("ptype this", "", VTABLE),
    ]


@needs_lldb
def test_cxx_in_lldb(animals: Program) -> None:
    ours, clangs = both(animals, "-O0")
    assert differences(lldb, ours, clangs, lines(CXX_IN_LLDB), animals.path()) == [
        # The units of functions that use it describe a variable of a namespace without a name, too: gdb
        # seeks those nowhere else.
        ("target variable quiet", "(int) quiet = 5", ""),
        ("type lookup zoo::Animal", "", VTABLE),
        # Enumerations are in each unit that uses them: gdb shows nothing of those that are only declared.
        ("type lookup zoo::Diet", repeated("enum class Diet {\n    plants,\n    meat\n}", 4), ""),
        # lldb numbers what it could not call, which is inlined in libstdc++'s headers, by its place.
        ("expression one.name()", NOT_CALLED % "ADDRESS", NOT_CALLED % "0xd0"),
        # `get` is the name of eight functions; they are in another order.
        ("next", STOPPED % 4, STOPPED % 7),
    ]


SAME_NAMES_1 = """
struct Twin {
    int a, b;
};
static int counter = 1;
static const int level = 10;
int other(int);
static int f(int n) {
    struct Local {
        int first, second;
    } local = {n, 2};
    struct Local *p = &local;
    return p->first + counter;
}
static int g(int n) {
    struct Local {
        float x, y;
    } local = {n, 2.5f};
    struct Local *p = &local;
    return (int)p->x;
}
int main(void) {
    struct Twin twin = {1, 2};
    counter += twin.a;
    return f(1) + g(2) + other(twin.b) + counter > 100 + level;
}
"""
SAME_NAMES_2 = """
struct Twin {
    float c, d;
};
static double counter = 2.5;
static const int level = 20;
static int idle(void) {
    return level;
}
int other(int n) {
    struct Twin twin = {n, 2.5f}, *p = &twin;
    counter += p->d;
    return twin.c + idle();
}
"""
SAME_NAMES_SESSION = """
break f
break g
break other
run
next
next
print local
print *p
print counter
print level
up
print twin
print counter
print level
continue
next
next
print local
print *p
print counter
print level
continue
next
next
print twin
print *p
print counter
print level
"""


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Two files and two functions that mean something else by a name; all that is of one size."""
    program = Program(tmp_path_factory.mktemp("twins"), ("one.c", "two.c"), ("-g",))
    program.path().mkdir()
    program.path("one.c").write_text(SAME_NAMES_1)
    program.path("two.c").write_text(SAME_NAMES_2)
    return program


@needs_gdb
def test_same_names_in_gdb(twins: Program) -> None:
    ours, clangs = both(twins, "-O0")
    assert differences(gdb, ours, clangs, lines(SAME_NAMES_SESSION), twins.path()) == [
        # g does not use the counter. That there is none is better than the other file's.
        ("print counter", "$ = <optimized out>", "$ = 2"),
    ]


@needs_lldb
def test_same_names_in_lldb(twins: Program) -> None:
    ours, clangs = both(twins, "-O0")
    session = [
        re.sub("^break", "breakpoint set -n", line).replace("print", "expression")
        for line in lines(SAME_NAMES_SESSION)
    ]
    assert differences(lldb, ours, clangs, session, twins.path()) == []


VARIANT_SESSION = """
break visit
break nodes.c:46
break factorial
run
backtrace
info args
next
info locals
continue
backtrace
up
info source
continue
backtrace
finish
"""


@needs_gdb
@pytest.mark.parametrize("options", [["-O0", "-gdwarf-4"], ["-O0", "-gdwarf-2"], ["-O0", "-gz"]])
def test_versions_of_dwarf(shapes: Program, options: list[str]) -> None:
    ours, clangs = both(shapes, *options)
    assert differences(gdb, ours, clangs, lines(VARIANT_SESSION), shapes.path()) == []


@needs_gdb
def test_lines_only(shapes: Program) -> None:
    ours, clangs = both(shapes, "-O0", "-g1")
    session = lines(VARIANT_SESSION)
    session[0] = "break shapes.c:76"
    assert differences(gdb, ours, clangs, session, shapes.path()) == []


@needs_gdb
@needs_lldb
@pytest.mark.parametrize("linker", ["lld", "bfd", "mold"])
def test_statics_are_found_by_name_where_there_are_only_lines(shapes: Program, linker: str) -> None:
    """Nothing but its symbol says what a function is called."""
    ours, clangs = both(shapes, "-O0", "-g1", f"-fuse-ld={linker}")
    for debugger, session in ((gdb, ["break visit"]), (lldb, ["b visit"])):
        assert replies(debugger, ours, session, shapes.path()) == replies(
            debugger, clangs, session, shapes.path()
        )


@needs_gdb
@pytest.mark.parametrize("kind", ["archive", "object", "shared"])
def test_what_clang_links(shapes: Program, kind: str) -> None:
    """An archive, an object or a shared library of ours, with a main program that clang compiles.

    The main program has no types of the names that the library's have: what it has could not be known.
    """
    space, folder = shapes.space, shapes.path()
    (space / "main.c").write_text(
        "int count_nodes(int n), shared_counter = 3;\nint main(void) { return count_nodes(3); }\n"
    )
    name = {"archive": "libnodes.a", "object": "nodes.o", "shared": "libnodes.so"}[kind]
    built = space / kind / name
    built.parent.mkdir()
    build(space, "nodes.c", "-g", "-O0", "--emit", kind, "-o", built, cwd=folder)
    theirs = ["-shared", "-fPIC"] if kind == "shared" else ["-c"]
    reference = space / kind / ("clang.so" if kind == "shared" else "clang.o")
    subprocess.run(["clang-22", "nodes.c", "-g", *theirs, "-o", str(reference)], cwd=folder, check=True)
    images = []
    for part, place in ((built, "ours"), (reference, "them")):
        image = space / kind / place / "image"
        image.parent.mkdir()
        arguments = [str(space / "main.c"), str(part), "-g", "-no-pie", "-o", str(image)]
        subprocess.run(["clang-22", *arguments], cwd=folder, check=True)
        images.append(image)
    assert differences(gdb, images[0], images[1], lines(LIBRARY_SESSION), folder) == []


LIBRARY_SESSION = """
break main
run
tbreak count_nodes
continue
next
next
info locals
print holder
print *holder.node
ptype struct Opaque
tbreak nodes.c:34
continue
backtrace
info locals
print folded
print hidden
ptype node
"""


@needs_gdb
def test_lines_move_and_functions_do_not(tmp_path: Path) -> None:
    """After an edit on top functions come from the cache with their new lines, as if compiled anew."""
    program = Program.copied(
        tmp_path, *SOURCES.iterdir(), sources=("shapes.c", "nodes.c"), flags=("-g", "-O0")
    )
    both(program)
    edit(
        program.path("shapes.c"),
        "#include <stdio.h>\n",
        "/* three\n   more\n   lines */\n#include <stdio.h>\n",
    )
    edit(program.path("nodes.c"), "#include <string.h>\n", "\n#include <string.h>\n")
    result = program.build("again")
    assert result.compiled == []
    ours, clangs = both(program)
    program.assert_same_image("ours/image", cache="cold")
    assert differences(gdb, ours, clangs, lines(MOVED_SESSION), program.path()) == []


MOVED_SESSION = """
break visit
break helper
break factorial
info line local_types
run
backtrace
continue
backtrace
next
continue
backtrace
continue
backtrace
finish
info types Shape
info types Node
info variables ratio
"""


@needs_gdb
def test_optimized(shapes: Program) -> None:
    ours, clangs = both(shapes, "-O2")
    assert differences(gdb, ours, clangs, lines(OPTIMIZED_SESSION), shapes.path()) == [
        # Registers are given out otherwise in a `main` into which other functions are inlined.
        ("up", MAIN % "1", MAIN % "<optimized out>"),
        # clang tells parts of variables by assignments, which its pipeline tracks and LLVM's does not.
        ("print node", "$ = <optimized out>", "$ = {next = 0x0, weight = 4, at = {x = 4, y = 5}}"),
        # It is not inlined in the same place, it is not known with which values functions are called, and
        # gdb spells a file with its folder where the unit it is in is another file's.
        ("backtrace 2", *COUNT_NODES),
        ("up", *COUNT_NODES),
    ]


MAIN = "#1  ADDRESS in main (argc=%s, argv=<optimized out>) at shapes.c:177"
COUNT_NODES = (
    "#1  ADDRESS in count_nodes (n=3) at FOLDER/nodes.c:43",
    "#1  count_nodes (n=n@entry=3) at nodes.c:43",
)


OPTIMIZED_SESSION = """
break visit
break shapes.c:70
break nodes.c:34
info line visit
run
backtrace 1
info args
print *shape
ptype shape
next
info locals
print AREA
up
info source
continue
backtrace 1
info args
print count
print node
ptype node
print folded
continue
backtrace 2
ptype node
ptype holder
print count
print kind
print folded
up
info args
ptype pair
print tree
"""


@needs_gdb
def test_breakpoints_in_statics_once_started(shapes: Program) -> None:
    """gdb 13 looks for a static by its symbol, and tells no line where that has another name."""
    ours, clangs = both(shapes, "-O0")
    session = ["break main", "run", "break visit", "list visit", "info line visit", "continue", "backtrace"]
    assert differences(gdb, ours, clangs, session, shapes.path()) == []
