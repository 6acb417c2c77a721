"""Names that mean something to LLVM whoever defines them, so that a unit must keep them.

Source: LLVM 22's TargetLibraryInfo table (as compiled into llvmlite 0.50; a test compares the two),
the personality routines of `classifyEHPersonality`, and the prefixes of runtimes whose calls passes
know by name (OpenMPOpt, Objective-C ARC).
"""

from __future__ import annotations

from typing import Final

_PREFIXES: Final = ("llvm.", "__kmpc_", "omp_", "objc_", "__nvvm_", "__sanitizer_", "__emutls")

_PERSONALITIES: Final = """
__CxxFrameHandler3 __C_specific_handler ProcessCLRException _except_handler3 _except_handler4
__gcc_personality_seh0 __gcc_personality_sj0 __gcc_personality_v0 __gnat_eh_personality
__gxx_personality_seh0 __gxx_personality_sj0 __gxx_personality_v0 __gxx_wasm_personality_v0
__objc_personality_v0 __xlcxx_personality_v1 __zos_cxx_personality_v2 rust_eh_personality
"""

#: What code generation calls or names by itself, besides library functions: a function may need such a symbol
#: and not show it.
_IMPLICIT: Final = ("__", "_Unwind_", "_GLOBAL_", "_DYNAMIC")

#: `main` is treated apart by passes (norecurse, coldness) and by code generation.
MAIN: Final = "main"

_LIBRARY_CALLS: Final = """
??2@YAPAXI@Z ??2@YAPAXIABUnothrow_t@std@@@Z ??2@YAPEAX_K@Z ??2@YAPEAX_KAEBUnothrow_t@std@@@Z ??3@YAXPAX@Z
??3@YAXPAXABUnothrow_t@std@@@Z ??3@YAXPAXI@Z ??3@YAXPEAX@Z ??3@YAXPEAXAEBUnothrow_t@std@@@Z ??3@YAXPEAX_K@Z
??_U@YAPAXI@Z ??_U@YAPAXIABUnothrow_t@std@@@Z ??_U@YAPEAX_K@Z ??_U@YAPEAX_KAEBUnothrow_t@std@@@Z
??_V@YAXPAX@Z ??_V@YAXPAXABUnothrow_t@std@@@Z ??_V@YAXPAXI@Z ??_V@YAXPEAX@Z
??_V@YAXPEAXAEBUnothrow_t@std@@@Z ??_V@YAXPEAX_K@Z _IO_getc _IO_putc _ZdaPv _ZdaPvRKSt9nothrow_t
_ZdaPvSt11align_val_t _ZdaPvSt11align_val_tRKSt9nothrow_t _ZdaPvj _ZdaPvjSt11align_val_t _ZdaPvm
_ZdaPvmSt11align_val_t _ZdlPv _ZdlPvRKSt9nothrow_t _ZdlPvSt11align_val_t _ZdlPvSt11align_val_tRKSt9nothrow_t
_ZdlPvj _ZdlPvjSt11align_val_t _ZdlPvm _ZdlPvmSt11align_val_t _Znaj _ZnajRKSt9nothrow_t _ZnajSt11align_val_t
_ZnajSt11align_val_tRKSt9nothrow_t _Znam _Znam12__hot_cold_t _ZnamRKSt9nothrow_t
_ZnamRKSt9nothrow_t12__hot_cold_t _ZnamSt11align_val_t _ZnamSt11align_val_t12__hot_cold_t
_ZnamSt11align_val_tRKSt9nothrow_t _ZnamSt11align_val_tRKSt9nothrow_t12__hot_cold_t _Znwj
_ZnwjRKSt9nothrow_t _ZnwjSt11align_val_t _ZnwjSt11align_val_tRKSt9nothrow_t _Znwm _Znwm12__hot_cold_t
_ZnwmRKSt9nothrow_t _ZnwmRKSt9nothrow_t12__hot_cold_t _ZnwmSt11align_val_t
_ZnwmSt11align_val_t12__hot_cold_t _ZnwmSt11align_val_tRKSt9nothrow_t
_ZnwmSt11align_val_tRKSt9nothrow_t12__hot_cold_t __size_returning_new __size_returning_new_hot_cold
__size_returning_new_aligned __size_returning_new_aligned_hot_cold __acos_finite __acosf_finite
__acosh_finite __acoshf_finite __acoshl_finite __acosl_finite __asin_finite __asinf_finite __asinl_finite
__atan2_finite __atan2f_finite __atan2l_finite __atanh_finite __atanhf_finite __atanhl_finite __atomic_load
__atomic_store __cosh_finite __coshf_finite __coshl_finite __cospi __cospif __cxa_atexit atexit abort exit
_Exit _ZSt9terminatev __cxa_throw __cxa_guard_abort __cxa_guard_acquire __cxa_guard_release __exp10_finite
__exp10f_finite __exp10l_finite __exp2_finite __exp2f_finite __exp2l_finite __exp_finite __expf_finite
__expl_finite __isoc99_scanf __isoc99_sscanf __kmpc_alloc_shared __kmpc_free_shared __log10_finite
__log10f_finite __log10l_finite __log2_finite __log2f_finite __log2l_finite __log_finite __logf_finite
__logl_finite __memccpy_chk __memcpy_chk __memmove_chk __mempcpy_chk __memset_chk __nvvm_reflect
__pow_finite __powf_finite __powl_finite __sincospi_stret __sincospif_stret __sinh_finite __sinhf_finite
__sinhl_finite __sinpi __sinpif __small_fprintf __small_printf __small_sprintf __snprintf_chk __sprintf_chk
__sqrt_finite __sqrtf_finite __sqrtl_finite __stpcpy_chk __stpncpy_chk __strcat_chk __strcpy_chk __strdup
__strlcat_chk __strlcpy_chk __strlen_chk __strncat_chk __strncpy_chk __strndup __strtok_r __vsnprintf_chk
__vsprintf_chk abs access acos acosf acosh acoshf acoshl acosl aligned_alloc asin asinf asinh asinhf asinhl
asinl atan atan2 atan2f atan2l atanf atanh atanhf atanhl atanl atof atoi atol atoll bcmp bcopy bzero cabs
cabsf cabsl calloc cbrt cbrtf cbrtl ceil ceilf ceill chmod chown clearerr closedir copysign copysignf
copysignl cos cosf cosh coshf coshl cosl ctermid erf erff erfl tgamma tgammaf tgammal execl execle execlp
execv execvP execve execvp execvpe exp exp10 exp10f exp10l exp2 exp2f exp2l expf expl expm1 expm1f expm1l
fabs fabsf fabsl fclose fdopen feof ferror fflush ffs ffsl ffsll fgetc fgetc_unlocked fgetpos fgets
fgets_unlocked fileno fiprintf flockfile floor floorf floorl fls flsl flsll fmax fmaxf fmaxl fmin fminf
fminl fmaximum_num fmaximum_numf fmaximum_numl fminimum_num fminimum_numf fminimum_numl fmod fmodf fmodl
fopen fopen64 fork fprintf fputc fputc_unlocked fputs fputs_unlocked fread fread_unlocked free frexp frexpf
frexpl fscanf fseek fseeko fseeko64 fsetpos fstat fstat64 fstatvfs fstatvfs64 ftell ftello ftello64
ftrylockfile funlockfile fwrite fwrite_unlocked getc getc_unlocked getchar getchar_unlocked getenv getitimer
getlogin_r getpwnam gets gettimeofday htonl htons hypot hypotf hypotl iprintf isascii isdigit labs lchown
ldexp ldexpf ldexpl llabs log log10 log10f log10l log1p log1pf log1pl log2 log2f log2l ilogb ilogbf ilogbl
logb logbf logbl logf logl lstat lstat64 malloc memalign memccpy memchr memcmp memcpy memmove mempcpy
memrchr memset memset_pattern16 memset_pattern4 memset_pattern8 mkdir mktime modf modff modfl nan nanf nanl
nearbyint nearbyintf nearbyintl nextafter nextafterf nextafterl nexttoward nexttowardf nexttowardl ntohl
ntohs open open64 opendir pclose perror popen posix_memalign pow powf powl pread printf putc putc_unlocked
putchar putchar_unlocked puts pvalloc pwrite qsort read readlink realloc reallocf reallocarray realpath
remainder remainderf remainderl remquo remquof remquol fdim fdimf fdiml remove rename rewind rint rintf
rintl rmdir round roundeven roundevenf roundevenl roundf roundl scalbln scalblnf scalblnl scalbn scalbnf
scalbnl scanf setbuf setitimer setvbuf sin sinf sinh sinhf sinhl sinl sincos sincosf sincosl siprintf
snprintf sprintf sqrt sqrtf sqrtl sscanf stat stat64 statvfs statvfs64 stpcpy stpncpy strcasecmp strcat
strchr strcmp strcoll strcpy strcspn strdup strlcat strlcpy strlen strncasecmp strncat strncmp strncpy
strndup strnlen strpbrk strrchr strspn strstr strtod strtof strtok strtok_r strtol strtold strtoll strtoul
strtoull strxfrm system tan tanf tanh tanhf tanhl tanl times tmpfile tmpfile64 toascii trunc truncf truncl
uname ungetc unlink unsetenv utime utimes valloc vec_calloc vec_free vec_malloc vec_realloc vfprintf vfscanf
vprintf vscanf vsnprintf vsprintf vsscanf wcslen write
"""

_NAMES: Final = frozenset(f"{MAIN} {_PERSONALITIES} {_LIBRARY_CALLS}".split())


def has_meaning(name: str) -> bool:
    """Whether LLVM treats a symbol of this name unlike one with another name."""
    return name in _NAMES or name.startswith(_PREFIXES)


def is_implicit(name: str) -> bool:
    """Whether code generation may name a symbol of this name by itself, besides library calls."""
    return name.startswith(_IMPLICIT)
