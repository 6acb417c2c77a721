"""Which of clang's flags its IR tells in full, and which only its own back end knows.

clang hands its back end more than IR: TargetOptions, MCTargetOptions and the pipeline's own settings
(clang/lib/CodeGen/BackendUtil.cpp). A flag that ends there is lost on IR that another LLVM compiles. Each
name below was tried: with the flag, clang's object is that which the bare IR gives, so IR says it all (or the
flag is about nothing that is compiled). Whatever is not listed, unknown and future flags included, has its
files compiled whole by clang; a few have a setting here that does the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass

#: Clang vectorises from -O2 on and unrolls likewise (clang/lib/Driver/ToolChains/Clang.cpp).
VECTORIZE_FROM: Final = 2


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: `-fNAME`, `-fno-NAME`, `-fNAME=VALUE` that are IR or no matter of code.
_F: Final = _words(
    """
    PIC PIE aapcs-bitfield-load aapcs-bitfield-width access-control align-functions
    aligned-allocation aligned-new allow-editor-placeholders allow-unsupported ansi-escape-codes apinotes
    apinotes-modules apinotes-swift-version apple-pragma-pack approx-func asm asm-blocks
    associative-math assume-nothrow-exception-dtor assume-sane-operator-new assume-unique-vtables
    assumptions asynchronous-unwind-tables autolink blocks borland-extensions bracket-depth
    build-session-timestamp builtin builtin-module-map c++-abi c++-static-destructors
    caret-diagnostics caret-diagnostics-max-lines cf-protection char8_t check-new clang-abi-compat
    color-diagnostics comment-block-commands common complete-member-pointers complex-arithmetic
    constant-cfstrings constexpr-backtrace-limit constexpr-depth constexpr-steps
    coro-aligned-allocation coroutines crash-diagnostics cx-limited-range cxx-exceptions cxx-modules
    data-sections debug-compilation-dir debug-default-version debug-macro debug-prefix-map
    debug-ranges-base-address declspec define-target-os-macros delayed-template-parsing
    delete-null-pointer-checks denormal-fp-math diagnostics-absolute-paths diagnostics-color
    diagnostics-fixit-info diagnostics-format diagnostics-parseable-fixits
    diagnostics-print-source-range-info diagnostics-show-category diagnostics-show-line-numbers
    diagnostics-show-note-include-stack diagnostics-show-option diagnostics-show-template-tree
    digraphs direct-access-external-data disable-block-signature-string discard-value-names
    dollars-in-identifiers double-square-bracket-attributes elide-constructors elide-type
    eliminate-unused-debug-symbols eliminate-unused-debug-types error-limit
    escaping-block-tail-calls exceptions excess-precision exec-charset experimental-library
    experimental-new-constant-interpreter experimental-relative-c++-abi-vtables
    experimental-strict-floating-point extend-arguments extend-variable-liveness fast-math
    fat-lto-objects file-compilation-dir file-prefix-map file-reproducible
    fine-grained-bitfield-accesses finite-loops finite-math-only fixed-point for-scope
    force-check-cxx20-modules-input-files force-emit-vtables force-enable-int128 fp-contract
    fp-eval-method fp-exception-behavior fp-model freestanding function-sections gnu-inline-asm
    gnu-keywords gnu89-inline gnuc-version heinous-gnu-extensions honor-infinities honor-nans hosted
    ident implicit-module-maps implicit-modules inline inline-functions inline-hint-functions
    inline-max-stacksize input-charset integrated-cc1 jump-tables keep-inline-functions
    keep-static-consts knr-functions lax-vector-conversions lto macro-backtrace-limit
    macro-prefix-map math-errno max-errors max-identifier-length max-tokens max-type-align
    merge-all-constants message-length module-file module-file-deps module-header module-map-file
    module-name module-output modulemap-allow-subdirectory-search modules modules-cache-path
    modules-check-relocated modules-decluse modules-disable-diagnostic-validation
    modules-embed-all-files modules-force-validate-user-headers modules-ignore-macro
    modules-prune-after modules-prune-interval modules-reduced-bmi modules-search-all
    modules-strict-decluse modules-validate-input-files-content
    modules-validate-once-per-build-session modules-validate-system-headers
    modules-validate-textual-header-includes ms-compatibility ms-compatibility-version
    ms-define-stdc ms-extensions ms-tls-guards ms-volatile msc-version named-loops nested-functions
    new-alignment new-infallible omit-frame-pointer openmp openmp-cuda-mode openmp-enable-irbuilder
    openmp-extensions openmp-simd openmp-use-tls openmp-version operator-arrow-depth operator-names
    optimize-sibling-calls pack-struct patchable-function-entry pcc-struct-return pch-codegen
    pch-debuginfo pch-instantiate-templates pch-validate-input-files-content pic pie plt
    pointer-tbaa prebuilt-implicit-modules prebuilt-module-path randomize-layout-seed
    raw-string-literals reciprocal-math reg-struct-return register-global-dtors-with-atexit
    rounding-math rtlib-add-rpath rtti rtti-data semantic-interposition short-enums short-wchar
    show-column show-overloads show-skipped-includes show-source-location signed-bitfields
    signed-char signed-zeros sized-deallocation skip-odr-check-in-gmf spell-checking
    spell-checking-limit split-dwarf-inlining stack-clash-protection stack-protector
    stack-protector-all stack-protector-strong standalone-debug strict-aliasing strict-enums
    strict-flex-arrays strict-float-cast-overflow strict-modules-decluse strict-overflow
    strict-return strict-vtable-pointers struct-path-tbaa syntax-only tabstop
    template-backtrace-limit template-depth threadsafe-statics tls-model trap-function trapping-math
    trapv trigraphs trivial-auto-var-init trivial-auto-var-init-max-size
    trivial-auto-var-init-stop-after unique-internal-linkage-names
    unique-source-file-identifier unique-source-file-names unsafe-math-optimizations
    unsigned-bitfields unsigned-char unwind-tables use-cxa-atexit use-ld use-line-directives
    verbose-asm visibility visibility-global-new-delete visibility-global-new-delete-hidden
    visibility-inlines-hidden visibility-inlines-hidden-static-local-var visibility-ms-compat
    working-directory wrapv wrapv-pointer writable-strings zero-call-used-regs
    """
)
#: What gcc knows, and clang takes and does nothing about.
_IGNORED: Final = _words(
    """
    align-jumps align-labels branch-count-reg branch-target-load-optimize caller-saves
    canonical-system-headers cse-follow-jumps cse-skip-blocks default-inline defer-pop delayed-branch
    devirtualize directives-only expensive-optimizations extended-identifiers float-store
    friend-injection gcse gcse-after-reload gcse-las gcse-sm implement-inlines implicit-templates
    inline-functions-called-once inline-limit inline-small-functions ipa-cp ipa-icf ipa-pta ipa-ra
    ipa-sra ivopts merge-constants modulo-sched modulo-sched-allow-regmoves non-call-exceptions
    partial-inlining pch-preprocess permissive peel-loops prefetch-loop-arrays printf-return-value
    profile-correction profile-values random-seed rename-registers reorder-blocks reorder-functions
    rerun-cse-after-loop sched-interblock sched-spec schedule-insns schedule-insns2 see signaling-nans
    single-precision-constant stack-check strength-reduce tracer tree-copy-prop tree-dce tree-fre
    tree-loop-im tree-loop-ivcanon tree-loop-linear tree-loop-optimize tree-pre tree-salias tree-sra
    tree-ter tree-vectorizer-verbose tree-vrp unit-at-a-time unroll-all-loops unsafe-loop-optimizations
    unswitch-loops use-linker-plugin var-tracking variable-expansion-in-unroller vect-cost-model web
    whole-program
    """
)
#: `-mNAME` likewise: CPU features and attributes of functions.
_M: Final = _words(
    """
    3dnow 3dnowa 64 80387 abi adx aes align-double amx-avx512 amx-bf16 amx-complex amx-fp16 amx-fp8
    amx-int8 amx-movrs amx-tf32 amx-tile apx-features apx-inline-asm-use-gpr32 apxf arch avx avx10.1
    avx10.2 avx2 avx512bf16 avx512bitalg avx512bw avx512cd avx512dq avx512f avx512fp16 avx512ifma
    avx512vbmi avx512vbmi2 avx512vl avx512vnni avx512vp2intersect avx512vpopcntdq avxifma avxneconvert
    avxvnni avxvnniint16 avxvnniint8 bmi bmi2 branch-protection bti-at-return-twice
    cf-branch-label-scheme cldemote clflushopt clwb clzero cmodel cmpccxadd cpu crc crc32 crypto cx16
    daz-ftz enqcmd f16c fentry fix-cortex-a53-835769 fix-cortex-a53-843419 fma fma4 fpmath fsgsbase
    function-return fxsr gather general-regs-only gfni glibc harden-sls hreset implicit-float
    indirect-branch-cs-prefix inline-all-stringops invpcid kl lasx little-endian long-double-128
    long-double-80 lsx lvi-cfi lvi-hardening lwp lzcnt memops mmx movbe mpx movdir64b movdiri movrs
    ms-bitfields mwaitx omit-leaf-frame-pointer outline-atomics pclmul pconfig pku popcnt
    prefer-vector-width prefetchi prfchw ptwrite raoint rdpid rdpru rdrnd rdseed recip red-zone regparm
    relax reserve-frame-pointer-reg retpoline retpoline-external-thunk rtm sahf scatter serialize seses
    sgx sha sha512 shstk sign-return-address skip-rax-setup sm3 sm4 soft-float
    speculative-load-hardening sse sse2 sse3 sse4 sse4.1 sse4.2 sse4a ssse3 stack-alignment
    stack-arg-probe stack-probe-size stack-protector-guard stack-protector-guard-offset
    stack-protector-guard-reg stack-protector-guard-symbol stackrealign strict-align tbm
    tls-direct-seg-refs tsxldtrk tune uintr unaligned-access usermsr vaes vpclmulqdq vzeroupper waitpkg
    wbnoinvd widekl x87 xop xsave xsavec xsaveopt xsaves
    """
)
#: `-gNAME` likewise.
_G: Final = _words(
    """
    0 1 2 3 call-site-info column-info dwarf dwarf-2 dwarf-3 dwarf-4 dwarf-5 dwarf32 full gdb gdb0 gdb1
    gdb2 gdb3 gnu-pubnames pubnames record-command-line record-gcc-switches inline-line-tables
    line-directives-only line-tables-only mlt omit-unreferenced-methods simple-template-names
    split-dwarf structor-decl-linkage-names template-alias used z
    """
)
#: Flags of the back end that are off unless asked for, by their beginnings: to turn them off is nothing new.
_OFF: Final = re.compile(
    r"-fno-(?:sanitize|profile|xray|auto-profile|memory-profile|pseudo-probe|coverage-mapping|test-coverage"
    r"|instrument-functions|split-stack|emulated-tls|basic-block|stack-size-section|force-dwarf-frame|jmc"
    r"|separate-named-sections|unique-basic-block|split-machine|save-optimization-record|stack-usage"
    r"|record-command-line|record-gcc-switches|time-trace|time-report|global-isel|experimental-isel"
    r"|experimental-call-graph|loop-interchange|experimental-loop-fusion|devirtualize-spec|debug-info-for-prof"
    r"|debug-types-section|partition-static|split-lto-unit|unified-lto|whole-program-vtables|virtual-function-el"
    r"|enable-matrix|emit-compact|embed-bitcode|ms-hotpatch|veclib|show-hotness|diagnostics-show-hotness"
    r"|addrsig|lto$|thinlto|openmp-target|offload|objc-arc|crash-diag|plugin|proc-stat)"
    r"|-gno-(?:record-|embed-source|modules|strict-dwarf|split-dwarf|key-instr|codeview|dwarf-aranges|pulibc)"
    r"|-mno-(?:relax-all|outline$|iamcu|incremental-linker|branches-within|tls-dialect)"
)
#: Flags that are on anyway: to ask for them is nothing new.
_ON: Final = re.compile(
    r"-f(?:zero-initialized-in-bss|use-init-array|integrated-as|integrated-objemitter|addrsig"
    r"|unique-section-names"
    r"|dwarf-directory-asm|dwarf2-cfi-asm|preserve-as-comments|verify-intermediate-code)$"
    r"|-fveclib=none$|-fembed-bitcode=off$|-fbasic-block-sections=none$|-mtls-dialect=gnu$"
    r"|-fsanitize-(?:recover|trap|ignorelist|undefined-ignore)|-mabi=sysv$|-mno-fix-|-ffixed-|-fcall-saved-"
)
#: A setting of the pipeline that is one of ours, too.
_UNROLL: Final = re.compile(r"-f(no-)?unroll-loops$")
#: One that a pipeline given by name decides by its level alone (PassBuilder::parseModulePass), as clang does
#: unless told.
_VECTORIZE: Final = re.compile(r"-f(?:tree-)?(?:slp-)?vectorize$")
#: Other words that reach the back end or what it says. No object of ours has an executable stack. The medium
#: code model comes with a size of data from which on it is large, which LLVM's C interface does not take.
_OTHER: Final = re.compile(
    r"-Wa,(?!--noexecstack$)|-Xassembler|-Xclang|-R(?:pass|$)|-d[A-Z]|--?coverage|-pg$|-p$|--?save-|--?via-file-asm"
    r"|-object-file-name|-no-integrated-as|-mmlir|-Xopenmp|-Xarch|--offload|-time$"
    r"|-mcmodel=medium$"
)
#: With these, clang writes files beside its object.
_BESIDE: Final = re.compile(
    r"-fstack-usage$|-ftime-trace|-f(?:save-)?optimization-record|--?coverage$|-ftest-coverage|-fprofile-arcs"
)
#: With these, clang notes the command that it was started by, in debug information or in a section.
_COMMAND: Final = re.compile(r"-(?P<kind>[fg])(?P<no>no-)?record-(?:command-line|gcc-switches)$")
_NOTES: Final = {"g": "-dwarf-debug-flags", "f": "-record-command-line"}


#: What asks for sections of its own for each function or variable, and for a code model.
_SECTIONS: Final = re.compile(r"-f(no-)?(function|data)-sections$")
_CODE_MODEL: Final = re.compile(r"-mcmodel=")


@dataclass(frozen=True, slots=True)
class Generation:
    """What decides how code is generated, and is no part of IR: it is one for all units of a build.

    `code_apart`, `data_apart`: each function, or variable, is to have a section of its own.
    """

    level: int
    unroll: bool | None
    code_apart: bool
    data_apart: bool
    code_model: str


def generation(flags: Sequence[str], level: int) -> Generation:
    """How clang would generate code with these flags at -O`level`, as far as IR does not tell."""
    apart = {"function": False, "data": False}
    for flag in flags:
        if match := _SECTIONS.match(flag):
            apart[match[2]] = match[1] is None
    models = [flag for flag in flags if _CODE_MODEL.match(flag)]
    return Generation(level, unrolls(flags), apart["function"], apart["data"], "".join(models[-1:]))


def unrolls(flags: Iterable[str]) -> bool | None:
    """Whether loops are to be unrolled, by the last word of the flags; None if they say nothing."""
    words = [match for match in map(_UNROLL.match, flags) if match]
    return not words[-1][1] if words else None


def beyond_ir(flags: Iterable[str], level: int = VECTORIZE_FROM) -> tuple[str, ...]:
    """The flags that only clang's own back end honours at -O`level`: files with one are compiled whole."""
    return tuple(flag for flag in flags if _is_beyond(flag, level))


def beside(flags: Iterable[str]) -> tuple[str, ...]:
    """The flags for which clang writes more files than its object."""
    return tuple(flag for flag in flags if _BESIDE.match(flag))


def noting(flags: Sequence[str], command: Sequence[str]) -> list[str]:
    """The flags, those that note the command made to note `command`: what clang is started by here has
    names in it that are other ones every time. Words are told apart as clang does it.
    """
    last = {match["kind"]: not match["no"] for match in map(_COMMAND.match, flags) if match}
    if not any(last.values()):
        return [*flags]
    text = " ".join(re.sub(r"([\\ ])", r"\\\1", word) for word in command)
    rest = [flag for flag in flags if not _COMMAND.match(flag)]
    for kind in (kind for kind, on in last.items() if on):
        rest += ["-Xclang", _NOTES[kind], "-Xclang", text]
    return rest


def _is_beyond(flag: str, level: int) -> bool:
    if _OTHER.match(flag):
        return True
    if flag[:1] != "-" or flag[1:2] not in ("f", "m", "g"):
        return False
    if flag == "-g" or _OFF.match(flag) or _ON.match(flag) or _UNROLL.match(flag):
        return False
    if _VECTORIZE.match(flag):
        return level < VECTORIZE_FROM
    word = flag[2:].removeprefix("no-").removeprefix("no_").partition("=")[0]
    if flag[1] == "m":
        return word not in _M
    if flag[1] == "g":
        return word not in _G
    word = re.sub(r"-\d+$", "", word)
    return word not in _F and word not in _IGNORED and not word.startswith("builtin-")
