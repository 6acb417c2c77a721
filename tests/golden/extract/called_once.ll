; A local function that one call reaches is compiled with its caller, as internal: LLVM sees that nobody else calls
; it. It has no unit of its own then. The caller is too long to be inlined anywhere itself.
define internal i32 @step(i32 %x) {
  %y = mul i32 %x, 3
  ret i32 %y
}

define i32 @main(i32 %argc, ptr %argv) {
  store volatile i32 0, ptr %argv, align 4
  store volatile i32 1, ptr %argv, align 4
  store volatile i32 2, ptr %argv, align 4
  store volatile i32 3, ptr %argv, align 4
  store volatile i32 4, ptr %argv, align 4
  store volatile i32 5, ptr %argv, align 4
  store volatile i32 6, ptr %argv, align 4
  store volatile i32 7, ptr %argv, align 4
  store volatile i32 8, ptr %argv, align 4
  store volatile i32 9, ptr %argv, align 4
  store volatile i32 10, ptr %argv, align 4
  store volatile i32 11, ptr %argv, align 4
  store volatile i32 12, ptr %argv, align 4
  store volatile i32 13, ptr %argv, align 4
  %y = call i32 @step(i32 %argc)
  ret i32 %y
}
