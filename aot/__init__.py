"""Splits LLVM programs into units, keys them, and compiles what the cache does not hold."""
