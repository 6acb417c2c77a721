; What a file's asm defines or names keeps its name and stays together with it; the rest is apart.
module asm ".globl entry"
module asm "entry: jmp inner"

@llvm.compiler.used = appending global [1 x ptr] [ptr @inner], section "llvm.metadata"

define internal void @inner() {
  ret void
}

define void @apart() {
  ret void
}
