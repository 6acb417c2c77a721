"""The table of flags: what IR tells, what is left to clang, what is tuned here, what cannot be had."""

import pytest

from nativecache.aot.codegen.flags import beside, beyond_ir, noting, unrolls

IN_IR = """
-g -g0 -g1 -g2 -g3 -ggdb -ggdb3 -gdwarf-4 -gdwarf-5 -gz -gz=zlib -gsplit-dwarf -gno-split-dwarf
-gline-tables-only -gno-column-info -fPIC -fpic -fno-pic -fPIE -fno-plt -fno-common -fno-builtin
-fno-builtin-memcpy -ffreestanding -fomit-frame-pointer -fno-omit-frame-pointer -fno-exceptions
-fexceptions -fno-rtti -fasynchronous-unwind-tables -fno-asynchronous-unwind-tables -fno-unwind-tables
-fstack-protector-strong -fno-stack-protector -fstack-clash-protection -fcf-protection=full
-fzero-call-used-regs=used -ftrivial-auto-var-init=zero -fvisibility=hidden -fvisibility-inlines-hidden
-fno-strict-aliasing -fwrapv -ftrapv -fno-delete-null-pointer-checks -ffast-math -fno-math-errno
-ffp-contract=off -ffp-model=strict -fno-trapping-math -fno-jump-tables -fno-inline -finline-functions
-finline-limit=100 -falign-functions=32 -fmerge-all-constants -fno-semantic-interposition
-ffunction-sections -fdata-sections -funique-section-names -fopenmp -fopenmp-simd -flto -flto=thin
-fno-lto -fdebug-prefix-map=/a=/b -ffile-prefix-map=/a=/b -fmacro-prefix-map=/a=/b
-fdebug-compilation-dir=/a -fdiagnostics-color=always -fcolor-diagnostics -ftemplate-depth=100
-ftemplate-depth-100 -fmodules -fshort-enums -funsigned-char -fcoroutines -fchar8_t -fthreadsafe-statics
-fno-threadsafe-statics -ftls-model=initial-exec -fident -fno-ident -fpatchable-function-entry=2
-fno-gcse -fgcse -fipa-pta -fno-addrsig -fno-sanitize=all -fno-sanitize=undefined -fno-profile-generate
-fno-stack-size-section -fzero-initialized-in-bss -fintegrated-as -march=native -march=x86-64-v3
-mtune=znver3 -mcpu=generic -mavx2 -mno-avx -msse4.2 -mno-sse -m64 -mcmodel=large -mno-red-zone
-mcmodel=kernel -mcmodel=small -mstackrealign -mrecip=all -mprefer-vector-width=256
-mstack-protector-guard=global -mretpoline
-mharden-sls=all -mfunction-return=thunk-extern -mgeneral-regs-only -mbranch-protection=standard
-mno-outline-atomics -fmerge-constants -fno-var-tracking -fno-devirtualize -fno-signaling-nans
-frandom-seed=abc -fnon-call-exceptions -fno-implicit-templates -faligned-new -fextended-identifiers
-fpch-preprocess -fdirectives-only -fwhole-program -fpermissive -funit-at-a-time -gmlt -mno-80387
-mno-sse4 -grecord-gcc-switches -gno-record-gcc-switches -grecord-command-line -mabi=lp64d -Wall -Wl,-O1
-Wa,--noexecstack -O2 -DX -Iinclude -std=c11 -pthread -w
"""

BEYOND = """
-fno-zero-initialized-in-bss -fstack-size-section -fforce-dwarf-frame -mtls-dialect=gnu2 -falign-loops=64
-fstack-usage -ftime-trace -ftime-trace=x.json -fsave-optimization-record
-foptimization-record-file=x.yaml -fno-integrated-as -Wa,-mrelax-relocations=no -Wa,--noexecstack,-W
-Xassembler -mrelax-all -gdwarf64 -gstrict-dwarf -glldb -gsce -gembed-source -gkey-instructions -gmodules
-gdwarf-aranges -fbasic-block-sections=all -fbasic-block-address-map -femulated-tls -fno-use-init-array
-fveclib=libmvec -flimited-precision=6 -fbinutils-version=2.20 -fsplit-machine-functions
-fseparate-named-sections -fjmc -fsjlj-exceptions -fglobal-isel -fexperimental-call-graph-section
-fdebug-info-for-profiling -fpseudo-probe-for-profiling -floop-interchange -fexperimental-loop-fusion
-fdevirtualize-speculatively -fenable-matrix -fdebug-types-section -femit-dwarf-unwind=always
-mlarge-data-threshold=9 -mcmodel=medium -mtls-size=24 -malign-branch=jcc -mbranches-within-32B-boundaries
-mpad-max-prefix-size=5 -masm=intel -fsanitize=address -fsanitize-coverage=bb -fprofile-generate
-fprofile-use=x -fcoverage-mapping --coverage -ftest-coverage -pg -fxray-instrument
-finstrument-functions -mllvm -Xclang -fplugin=x -fpass-plugin=x -fembed-bitcode -fsplit-stack
-Rpass=inline -save-stats -ftime-report -fsomething-of-next-year -fno-something-of-next-year
-mnext-years-feature -gnext -fno-unique-section-names -frecord-command-line -frecord-gcc-switches
"""


@pytest.mark.parametrize("flag", IN_IR.split())
def test_what_ir_tells_is_split(flag: str) -> None:
    assert beyond_ir([flag]) == ()


@pytest.mark.parametrize("flag", BEYOND.split())
def test_what_only_clangs_back_end_knows_is_not(flag: str) -> None:
    assert beyond_ir(["-O2", flag, "-g"]) == (flag,)


def test_unrolling_is_tuned_and_the_last_word_counts() -> None:
    assert beyond_ir(["-funroll-loops", "-fno-unroll-loops"]) == ()
    assert unrolls(["-funroll-loops", "-fno-unroll-loops"]) is False
    assert unrolls(["-fno-unroll-loops", "-funroll-loops"]) is True
    assert unrolls(["-O3", "-funroll-all-loops"]) is None


@pytest.mark.parametrize("name", ["vectorize", "tree-vectorize", "slp-vectorize", "tree-slp-vectorize"])
def test_vectorising_is_the_levels_or_clangs(name: str) -> None:
    assert beyond_ir([f"-f{name}"], 2) == beyond_ir([f"-f{name}"], 3) == ()
    assert beyond_ir([f"-f{name}"], 1) == (f"-f{name}",)
    assert beyond_ir([f"-fno-{name}"], 2) == (f"-fno-{name}",)


def test_flags_that_have_files_written() -> None:
    flags = ["-g", "-fstack-usage", "-fsave-optimization-record=yaml", "--coverage", "-fno-stack-usage"]
    assert beside(flags) == ("-fstack-usage", "-fsave-optimization-record=yaml", "--coverage")


def test_flags_that_note_the_command_note_the_one_that_is_told() -> None:
    command = ["clang", "-g", "a b.c"]
    noted = ["-Xclang", "-dwarf-debug-flags", "-Xclang", r"clang -g a\ b.c"]
    assert noting(["-g", "-grecord-command-line", "-w"], command) == ["-g", "-w", *noted]
    assert noting(["-gno-record-command-line", "-grecord-gcc-switches"], command) == noted
    both = noting(["-frecord-command-line", "-grecord-gcc-switches"], command)
    assert both == ["-Xclang", "-record-command-line", "-Xclang", noted[-1], *noted]
    off = ["-grecord-gcc-switches", "-gno-record-command-line", "-fno-record-gcc-switches"]
    assert noting(off, command) == off
