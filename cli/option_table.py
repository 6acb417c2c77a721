"""The table of options: which words of a build are options, how they take their values, and where they go.

How clang's options take their values was read off clang 22's driver by asking it for each option that it
knows (`clang -### OPTION` says how many values are missing); what is not listed here as taking a word of its
own is one word.

This module is loaded before anything else, to answer in no time when nothing has changed: it imports nothing.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: Where a word goes: to clang, to the link where it stands, to both, to us; an input; how dependencies are
#: noted; nowhere.
INPUT, CLANG, LINK, BOTH, OURS, DEPENDENCIES, DROPPED = (
    *("input", "clang", "link", "both", "ours", "dependencies", "dropped"),
)

#: Ours, whose value is a word of its own, or stands behind an equals sign (or at once, after one letter).
VALUED: "Final" = frozenset(
    (
        *("-o", "--output", "--import-limit", "--target", "--cpu", "--features", "--emit", "-j", "--threads"),
        *("--cache-dir", "--cache-mode", "--store", "--fallback-dir", "--stats-json", "--linker", "--cc"),
        *("--clang", "--compiler-check", "--llvm", "--granularity", "-p", "--profile", "--only"),
    )
)
FLAGS: "Final" = frozenset(
    (
        *("--no-opt", "--no-cache", "--trust-cache-dir", "--timings", "--compress-debug", "-v", "--verbose"),
        *("-q", "--quiet", "-h", "--help", "--no-preamble"),
    )
)
#: Those of them that choose among what a project file describes.
OF_PROJECTS: "Final" = ("--profile", "--only")
#: Other spellings of ours.
OTHER_SPELLINGS: "Final" = {
    "-c": "--emit=object",
    "--compile": "--emit=object",
    "-r": "--emit=object",
    "-shared": "--emit=shared",
    "--shared": "--emit=shared",
    "--verify": "--verify=10",
}

#: Options whose value is the next word; where they go.
PAIRS: "Final" = {
    **dict.fromkeys(
        (
            *("-I", "-D", "-U", "--include-directory", "--define-macro", "--undefine-macro", "-A", "-F"),
            *("-isystem", "-isystem-after", "-iquote", "-idirafter", "-iprefix", "-iwithprefix"),
            *("-iwithprefixbefore", "-include", "-include-pch", "-imacros", "-imultilib", "-iframework"),
            *("-iframeworkwithsysroot", "-cxx-isystem", "-ivfsoverlay"),
            *("-vfsoverlay", "--include", "--imacros"),
            *("--include-directory-after", "--include-prefix", "--include-with-prefix"),
            *("--include-with-prefix-after", "--include-with-prefix-before", "--assert", "--param"),
            *("-Xclang", "-Xpreprocessor", "-Xassembler", "-Xanalyzer", "-Xarch_host", "-Xarch_device"),
            *("-Xopenmp-target", "-Xcuda-fatbinary", "-Xcuda-ptxas"),
            *("-mllvm", "-mmlir"),
            *("-working-directory", "-serialize-diagnostics"),
            *("--serialize-diagnostics", "-dependency-dot", "-dependency-file"),
            *("-module-dependency-dir", "-dumpdir", "-meabi", "--config"),
            *("-fexperimental-openacc-macro-override", "-ftrapv-handler", "-object-file-name"),
            *("-stdlib++-isystem", "-fdebug-compilation-dir", "-fnew-alignment"),
            *("-fmodule-implementation-of", "-iapinotes-modules"),
            *("-fmodules-user-build-path", "-iwithsysroot", "--vfsoverlay", "--system-header-prefix"),
            *("--no-system-header-prefix", "-mthread-model", "--analyzer-output", "-Xclangas"),
        ),
        CLANG,
    ),
    **dict.fromkeys(
        (
            *("-l", "-L", "-Xlinker", "-z", "-T", "-u", "-e", "-rpath", "-framework", "-weak_framework"),
            *("-b", "-Xoffload-linker", "--for-linker", "--library-directory", "--force-link"),
            *("-G", "-filelist", "-sectcreate"),
        ),
        LINK,
    ),
    **dict.fromkeys(
        (
            *("-B", "--prefix", "--sysroot", "-isysroot", "--stdlib", "--rtlib", "-specs", "--specs"),
            *("-resource-dir", "--unwindlib"),
        ),
        BOTH,
    ),
    **dict.fromkeys(("-MF", "-MT", "-MQ"), DEPENDENCIES),
}
#: Options whose value is more than one word, and how many.
VALUE_COUNTS: "Final" = {"-sectcreate": 3}

#: Whole words.
ALONE: "Final" = {
    **dict.fromkeys(
        (
            *("-w", "-ansi", "-pedantic", "-pedantic-errors", "--pedantic", "--pedantic-errors", "-undef"),
            *("-trigraphs", "--trigraphs", "-traditional", "-traditional-cpp", "-nostdinc", "-nostdinc++"),
            *("-nobuiltininc", "-nostdlibinc", "-nogpuinc", "-nogpulib"),
            *("-integrated-as", "-no-integrated-as"),
            *("-Qunused-arguments", "-Qn", "-Qy", "-H", "-EL", "-EB", "--no-standard-includes", "--ansi"),
            *("-no-canonical-prefixes", "-canonical-prefixes", "-emit-llvm-uselists", "-relocatable-pch"),
            *("-no-integrated-cpp", "-integrated-cpp", "-save-temps=cwd", "-save-temps", "--save-temps"),
            *("--save-temps=cwd", "--no-integrated-cpp", "--warn-", "--all-warnings", "--extra-warnings"),
            *("-no-pthread", "-noprebind", "--analyze-auto", "--no-default-config", "-fno-profile-arcs"),
            *("--no-warnings", "-C", "-CC", "-P", "-print-ivar-layout", "-time", "-Q", "-remap", "-combine"),
            *("--signed-char", "--unsigned-char", "--trace-includes", "--traditional-cpp", "--comments"),
            *("--no-pedantic", "-no-pedantic", "--no-line-commands", "--relocatable-pch", "-dA"),
        ),
        CLANG,
    ),
    **dict.fromkeys(
        (
            *("-static", "--static", "-static-pie", "-rdynamic", "-no-pie", "-nopie", "-pie", "--pie", "-s"),
            *("-nostdlib", "-nodefaultlibs", "-nostartfiles", "-nolibc", "-nostdlib++", "-t", "-d"),
            *("-static-libgcc", "-shared-libgcc", "-static-libstdc++", "-static-libsan", "-shared-libsan"),
            *("-static-libasan", "-static-openmp", "-noseglinkedit", "--no-standard-libraries", "-Z"),
            *("-shared-libasan", "-no-pipe"),
        ),
        LINK,
    ),
    **dict.fromkeys(("-pthread", "--coverage", "-coverage", "-pg", "-m32", "-mx32"), BOTH),
    **dict.fromkeys(("-MD", "-MMD", "-MP", "-MG", "-MV", "--write-dependencies"), DEPENDENCIES),
    **dict.fromkeys(("--write-user-dependencies",), DEPENDENCIES),
    **dict.fromkeys(("-pipe", "--pipe", "-dynamic"), DROPPED),
}

#: Beginnings of words with a value run together, the longer before the shorter.
JOINED: "Final" = (
    *(
        (start, BOTH)
        for start in (
            *("-stdlib=", "--stdlib=", "-rtlib=", "--rtlib=", "-unwindlib=", "--unwindlib=", "--sysroot="),
            *("-isysroot", "-fsanitize", "-fno-sanitize", "-fprofile-", "-fcs-profile-", "-fcoverage"),
            *("-fopenmp", "-fno-openmp", "-fxray-"),
            *("-fmemory-profile", "-fsplit-stack", "-specs=", "--specs="),
            *("--gcc-toolchain=", "-resource-dir="),
            *("--gcc-install-dir=", "--gcc-triple=", "-B", "--prefix="),
        )
    ),
    *(
        (start, LINK)
        for start in (
            *("-Wl,", "-l", "-L", "-T", "-u", "-z", "-rpath=", "--library-directory="),
            *("--for-linker=", "--force-link=", "-Xoffload-linker", "-G", "-static-libgfortran", "-y"),
        )
    ),
    *((start, DEPENDENCIES) for start in ("-MF", "-MT", "-MQ")),
    *(
        (start, CLANG)
        for start in (
            *("-std=", "--std=", "-f", "-m", "-W", "-g", "-I", "-D", "-U", "-i", "-A", "--param=", "-dwarf-"),
            *("--include-directory=", "--define-macro=", "--undefine-macro=", "--include=", "--imacros="),
            *("--embed-dir=", "-cxx-isystem", "-stdlib++-isystem", "-ivfsoverlay", "-working-directory="),
            *("--start-no-unused-arguments", "--end-no-unused-arguments", "-Xarch_", "--for-assembler="),
            *("--config=", "-R", "--assert=", "--include-prefix=", "--include-with-prefix"),
            *("--system-header-prefix=", "--no-system-header-prefix=", "--warning-suppression-mappings="),
            *("-cl-", "-cuid=", "-Xclang=", "--include-directory-after="),
            *("--language-standard=", "-Xcuda", "--warn-", "--debug", "--optimize"),
            *("-ObjC", "-objcmt", "-mllvm=", "-nohipwrapperinc", "-tune-cpu", "-mmlir="),
        )
    ),
)

#: Options of the linker itself that no compiler driver knows by these names; `-Wl,` takes them there.
LINKERS_OWN: "Final" = frozenset(
    (
        *("--start-group", "--end-group", "-(", "-)", "--start-lib", "--end-lib"),
        *("--whole-archive", "-whole-archive", "--no-whole-archive", "-no-whole-archive"),
        *("--as-needed", "--no-as-needed"),
        *("--push-state", "--pop-state", "--gc-sections", "--no-gc-sections"),
        *("--export-dynamic", "-export-dynamic"),
    )
)

#: What cannot be done here, and what to do instead.
REFUSED: "Final" = {
    **dict.fromkeys(
        (
            *("-E", "--preprocess", "-M", "-MM", "--dependencies", "--user-dependencies"),
            *("-dM", "-dD", "-dI", "-dU"),
        ),
        "nothing is preprocessed alone here; run clang itself for it (-MD writes a depfile beside a build)",
    ),
    "-MJ": "no entry of a compilation database is written here; run clang itself for it",
    **dict.fromkeys(
        ("-S", "--assemble"),
        "assembly is written by --emit asm, LLVM's IR by --emit bitcode, a file for all inputs",
    ),
    "-emit-llvm": "LLVM's IR is written by --emit bitcode",
    **dict.fromkeys(
        (
            *("-fsyntax-only", "--analyze", "-verify-pch", "-emit-ast", "-emit-interface-stubs"),
            *("-module-file-info", "--precompile"),
        ),
        "nothing is built by it; run clang itself for it",
    ),
    **dict.fromkeys(
        ("-###", "-dumpmachine", "-dumpversion", "-dumpspecs", "--version", "-help", "--help-hidden"),
        "it asks clang about itself; run clang itself for it",
    ),
    **dict.fromkeys(
        ("-save-temps=obj", "--save-temps=obj"),
        "there is no folder for it; -save-temps=cwd writes into the folder that you are in",
    ),
    "-arch": "one target at a time is built: --target names it; for clang alone, --cflag=-arch --cflag=NAME",
}
REFUSED_JOINED: "Final" = (
    ("-print-", "it asks clang about itself; run clang itself for it"),
    ("--print-", "it asks clang about itself; run clang itself for it"),
    ("-fmodule-header", "nothing is built by it; run clang itself for it"),
    ("-ccc-", "it changes clang's driver; run clang itself for it"),
)


LANGUAGES: "Final" = (
    *("c", "c++", "cpp-output", "c++-cpp-output", "assembler", "assembler-with-cpp", "ir", "none"),
)

#: Their value can stand behind an equals sign, and gcc knows no other way.
EQUALS: "Final" = frozenset(("--stdlib", "--rtlib", "--unwindlib", "-specs", "--specs"))
#: Clang's, which the environment can give as well.
ENVIRONMENT_TOO: "Final" = ("-I", "-D", "-U")
