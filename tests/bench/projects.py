"""Real projects of many files, from Debian's sources: how they are built, edited and run.

nativecache builds each by one line; the peer is ninja with clang behind ccache for each file, as real
projects are built: headers are tracked by dependency files. Both get the project's own flags and work in one
tree.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import fetch
import pytest
from bench import edits
from bench.edits import Edit
from bench.measure import Cost, Skipped, call
from bench.works import CLANGXX
from harness import CLANG, has_tool


@dataclass(frozen=True, kw_only=True)
class Project:
    """`sources` and `without` are patterns of files, `files` what a project's own build would generate.

    `run`: words of commands, each of which reads what the last one wrote, the first one the file `stdin`.
    """

    name: str
    package: str
    sources: tuple[str, ...]
    without: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    flags: tuple[str, ...]
    libraries: tuple[str, ...] = ()
    stdin: str = os.devnull
    run: tuple[tuple[str, ...], ...]
    edits: tuple[Edit, ...]
    #: A file without which this is not the project that was expected.
    sign: str


LUA = Project(
    name="lua",
    package="lua5.4",
    sign="src/lua.c",
    sources=("src/*.c",),
    without=("src/luac.c",),
    files=(("src/lua5.4-deb-multiarch.h", '#define DEB_HOST_MULTIARCH "multiarch"\n'),),
    flags=("-std=gnu99", "-O2", "-DLUA_COMPAT_5_3", "-DLUA_USE_LINUX"),
    libraries=("-Wl,-E", "-lm", "-ldl"),
    run=(
        (
            "-e",
            "local t = {} for i = 1, 2000 do t[i] = ('%d|%5.1f'):format(i * 7919 % 1009, i / 3) end "
            "table.sort(t) print(#table.concat(t, ','), t[77], ('ab'):rep(3, '-'), pcall(error, 'e')) "
            "print(select('#', ('a b c'):gsub('%w', '%0%0')), load('return 1 +'))",
        ),
    ),
    edits=(
        edits.constant("src/lvm.c", r"loop < MAXTAGLOOP\b( \+ \d+)?", "loop < MAXTAGLOOP + {n}"),
        edits.function("src/lstrlib.c", r"^static int str_rep \(lua_State \*L\) \{", "lua_gettop(L)"),
        edits.signature(
            "luaF_newproto",
            "lua_State",
            ("src/lfunc.h", "src/lfunc.c"),
            ("src/lparser.c", "src/lundump.c"),
        ),
        edits.field("src/lstate.h", r"^typedef struct global_State \{"),
        edits.comment("src/lvm.c", r'^#include "lvm.h"'),
    ),
)

LZ4 = Project(
    name="lz4",
    package="lz4",
    sign="lib/lz4.c",
    sources=("lib/*.c", "programs/*.c"),
    flags=("-O2", "-g", "-Ilib", "-DXXH_NAMESPACE=LZ4_"),
    stdin="lib/lz4.c",
    run=(("-9", "-c"), ("-d", "-c")),
    edits=(
        edits.constant("lib/lz4hc.c", r"int const kTrigger = \d+;", "int const kTrigger = {n};"),
        edits.function("programs/lz4io.c", r"^size_t LZ4IO_setBlockSizeID\([^)]*\bbsid\)\s*\{", "bsid"),
        edits.signature(
            "LZ4F_isError",
            "LZ4F_errorCode_t",
            ("lib/lz4frame.h", "lib/lz4frame.c"),
            ("lib/lz4frame.c", "lib/lz4file.c", "programs/lz4io.c"),
        ),
        edits.field("lib/lz4frame.h", r"^  unsigned reserved\[3\]; +/\* must be zero.*"),
        edits.comment("lib/lz4hc.c", r'^#include "lz4hc.h"'),
    ),
)

ZSTD = Project(
    name="zstd",
    package="libzstd",
    sign="lib/zstd.h",
    sources=(
        *(
            f"lib/{folder}/*.c"
            for folder in ("common", "compress", "decompress", "dictBuilder", "deprecated")
        ),
        "lib/decompress/*_amd64.S",
        "lib/legacy/zstd_v0[567].c",
        "programs/*.c",
    ),
    flags=(
        *("-O3", "-pthread", "-Wa,--noexecstack", "-DXXH_NAMESPACE=ZSTD_", "-DDEBUGLEVEL=0"),
        *("-DZSTD_LEGACY_SUPPORT=5", "-DZSTD_MULTITHREAD", "-DBACKTRACE_ENABLE=0"),
    ),
    libraries=("-pthread", "-Wl,-z,noexecstack"),
    stdin="lib/compress/zstd_compress.c",
    run=(("-9", "-c"), ("-d", "-c")),
    edits=(
        edits.constant("lib/compress/zstd_compress.c", r"U64 minSrcSize = \d+;", "U64 minSrcSize = 5{n};"),
        edits.function(
            "lib/compress/zstd_compress.c", r"^size_t ZSTD_compressBound\(size_t srcSize\) \{", "srcSize"
        ),
        edits.signature(
            "COVER_warnOnSmallCorpus",
            "size_t ",
            ("lib/dictBuilder/cover.h", "lib/dictBuilder/cover.c"),
            ("lib/dictBuilder/cover.c", "lib/dictBuilder/fastcover.c"),
        ),
        edits.field("lib/compress/zstd_compress_internal.h", r"^struct ZSTD_CCtx_s \{"),
        edits.comment("lib/compress/zstd_compress.c", r'^#include "zstd_compress_internal.h"'),
    ),
)

REDIS = Project(
    name="redis",
    package="redis",
    sign="src/server.c",
    sources=(
        *("src/*.c", "deps/lua/src/*.c", "deps/hdr_histogram/*.c"),
        *(
            f"deps/hiredis/{name}.c"
            for name in ("alloc", "async", "hiredis", "net", "read", "sds", "sockcompat")
        ),
    ),
    without=(
        *(f"src/{name}.c" for name in ("redis-cli", "redis-benchmark", "cli_common", "redisassert")),
        *("src/ae_*.c", "deps/lua/src/lua.c", "deps/lua/src/luac.c", "deps/lua/src/print.c"),
    ),
    files=(
        (
            "src/release.h",
            '#define REDIS_GIT_SHA1 "00000000"\n#define REDIS_GIT_DIRTY "0"\n'
            '#define REDIS_BUILD_ID "bench"\n',
        ),
    ),
    flags=(
        *("-std=gnu11", "-pedantic", "-O2", "-g", "-ggdb", "-fno-omit-frame-pointer", "-DREDIS_STATIC="),
        *("-DLUA_ANSI", "-DENABLE_CJSON_GLOBAL", "-DLUA_USE_MKSTEMP"),
        '-DHDR_MALLOC_INCLUDE="hdr_redis_malloc.h"',
        *(f"-Ideps/{name}" for name in ("hiredis", "linenoise", "lua/src", "hdr_histogram")),
    ),
    libraries=("-rdynamic", "-lm", "-ldl", "-pthread", "-lrt"),
    run=(("--version",),),
    edits=(
        edits.constant("src/db.c", r"int maxtries = \d+;", "int maxtries = {n};"),
        edits.function("src/t_zset.c", r"^void zaddCommand\(client \*c\) \{", "c->argc"),
        edits.signature(
            "geohashGetDistance",
            "double ",
            ("src/geohash_helper.h", "src/geohash_helper.c"),
            ("src/geohash_helper.c", "src/geo.c"),
        ),
        edits.field("src/server.h", r"^struct redisServer \{"),
        edits.comment("src/db.c", r'^#include "server.h"'),
    ),
)

PUGIXML = Project(
    name="pugixml",
    package="pugixml",
    sign="src/pugixml.cpp",
    sources=("src/*.cpp", "tests/*.cpp"),
    without=("tests/fuzz_*.cpp",),
    flags=("-std=c++11", "-O3", "-g", "-DNDEBUG"),
    run=((),),
    edits=(
        edits.constant("src/pugixml.cpp", r"size_t reuse_threshold = \d+;", "size_t reuse_threshold = {n};"),
        edits.function(
            "src/pugixml.cpp",
            r"^\s*PUGI_\w*FN bool xml_document::save_file\(const char\* path_[^{]*\{",
            "flags",
            has_puts=True,
        ),
        edits.signature(
            "save_narrow",
            "const pugi::",
            ("tests/writer_string.hpp", "tests/writer_string.cpp"),
            (
                "tests/writer_string.cpp",
                "tests/test_document.cpp",
                "tests/test_memory.cpp",
                "tests/test_parse.cpp",
                "tests/test_write.cpp",
            ),
        ),
        edits.field("src/pugixml.hpp", r"^\s*struct PUGIXML_CLASS xml_parse_result\s*\{"),
        edits.comment("src/pugixml.cpp", r'^#include "pugixml.hpp"'),
    ),
)

PROJECTS = {project.name: project for project in (LUA, LZ4, ZSTD, REDIS, PUGIXML)}


@dataclass
class Checkout:
    """A project's tree in `space`/src, and what is built of it in `space`."""

    project: Project
    space: Path
    sources: tuple[str, ...]
    edits_made: int = 10
    #: The figures of the last build of ours.
    stats: dict[str, object] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.space / "src"

    def edit(self, edit: Edit) -> None:
        """Edit the sources as never before."""
        self.edits_made += 1
        try:
            edit.apply(self.folder, self.edits_made)
        except (ValueError, OSError) as error:
            raise SystemExit(f"bench: {self.project.name}, edit of a {edit.kind}: {error}") from None

    def ours(self) -> Cost:
        """Build with nativecache."""
        command = [sys.executable, "-m", "nativecache.cli.start", "build", "-q", *self.project.flags, "-w"]
        command += ["--cache-dir", "../cache", "--stats-json", "../stats.json", "-o", "../ours"]
        cost = call([*command, *self.sources, *self.project.libraries], self.folder)
        self.stats = json.loads((self.space / "stats.json").read_text())
        return cost

    def peer(self) -> Cost:
        """Build what is not up to date with ninja, ccache and clang."""
        environment = {"CCACHE_DIR": str(self.space / "ccache")}
        return call(["ninja", "-f", "../build.ninja"], self.folder, extra=environment)

    def run(self, image: str) -> bytes:
        """What the program writes; a program that fails says so in it."""
        last = (self.folder / self.project.stdin).read_bytes()
        all_of_it = b""
        for words in self.project.run:
            done = subprocess.run(
                ["program", *words],
                executable=self.space / image,
                cwd=self.folder,
                input=last,
                capture_output=True,
                timeout=300,
            )
            last = done.stdout
            all_of_it += b"exit %d\n" % done.returncode + done.stdout + done.stderr
        return all_of_it


def check_out(project: Project, space: Path) -> Checkout:
    """Put a project's sources in place. Raises Skipped."""
    for tool in ("ninja", "ccache", CLANG, CLANGXX, "ld.lld-22"):
        if not has_tool(tool):
            raise Skipped(f"no {tool}")
    try:
        tree = fetch.debian_source(project.package, (project.sign,))
    except pytest.skip.Exception as reason:
        raise Skipped(str(reason)) from None
    folder = space / "src"
    shutil.copytree(tree, folder, symlinks=True)
    for name, text in project.files:
        (folder / name).write_text(text)
    sources = find_sources(project, folder)
    (space / "build.ninja").write_text(ninja_file(project, sources))
    return Checkout(project, space, sources)


def find_sources(project: Project, folder: Path) -> tuple[str, ...]:
    """The project's source files, by their names from `folder`."""
    found = {path for pattern in project.sources for path in folder.glob(pattern)}
    found -= {path for pattern in project.without for path in folder.glob(pattern)}
    return tuple(sorted(str(path.relative_to(folder)) for path in found))


def ninja_file(project: Project, sources: tuple[str, ...]) -> str:
    """What `../build.ninja` says: an object for each source, and the program `../ninja/program` of all."""
    clang = CLANGXX if any(source.endswith(".cpp") for source in sources) else CLANG
    # The shell runs it: a quote within a flag has to come through.
    flags = " ".join(f"'{flag}'" for flag in (*project.flags, "-w"))
    lines = [
        "builddir = ../ninja",
        "rule compile",
        f"  command = ccache {clang} {flags} -MD -MF $out.d -c $in -o $out",
        "  depfile = $out.d",
        "  deps = gcc",
        "rule link",
        f"  command = {clang} -fuse-ld=lld $in {' '.join(project.libraries)} -o $out",
    ]
    objects = [f"../ninja/{source}.o" for source in sources]
    lines += [f"build {out}: compile {source}" for out, source in zip(objects, sources, strict=True)]
    return "\n".join([*lines, f"build ../ninja/program: link {' '.join(objects)}"]) + "\n"
