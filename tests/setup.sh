#!/bin/sh
# Installs the tools that the tests use, from Debian's packages, as root; elsewhere says what is missing.
set -u

# Type checkers find the packages by it; a source distribution cannot hold such a link.
[ -e .types/nativecache ] || { mkdir -p .types && ln -s .. .types/nativecache; }

missing=
need() { # COMMAND-OR-FILE PACKAGE
    command -v "$1" >/dev/null 2>&1 || [ -e "$1" ] || missing="$missing $2"
}
need clang-22 clang-22
# The run-time library of what clang instruments.
need /usr/lib/llvm-22/lib/clang/22/lib/linux/libclang_rt.ubsan_standalone-x86_64.a libclang-rt-22-dev
need ld.lld-22 lld-22
# Older front ends.
need clang-15 clang-15
need clang-16 clang-16
need mold mold
need csmith csmith
need strace strace
need faketime faketime
need /usr/include/csmith/csmith.h libcsmith-dev
need g++ g++
need gdb gdb
need lldb-22 lldb-22
need llvm-dwarfdump-22 llvm-22
need /usr/include/nlohmann/json.hpp nlohmann-json3-dev
${PYTHON:-python3} -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "not installed:$missing; the tests that need them will be skipped" >&2
    exit 0
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || echo "apt-get update failed; going on with the package lists at hand" >&2
for package in $missing; do
    apt-get install -y -qq --no-install-recommends "$package" >/dev/null ||
        echo "could not install $package; the tests that need it will be skipped" >&2
done
