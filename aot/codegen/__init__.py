"""From a unit's bitcode to its object: LLVM, its options and what it says."""
