; Constructors are pointers in sections named after their priority, in a unit of their own.
@llvm.global_ctors = appending global [2 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @late, ptr null }, { i32, ptr, ptr } { i32 101, ptr @early, ptr null }]
@ready = global i32 0, align 4

define internal void @early() {
  store i32 1, ptr @ready, align 4
  ret void
}

define internal void @late() {
  store i32 2, ptr @ready, align 4
  ret void
}
