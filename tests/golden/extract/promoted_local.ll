; Locals of one name in two files: each is a hidden symbol, told apart by its file.
; --- one.ll
@count = internal global i32 1, align 4

define i32 @one() {
  %v = load i32, ptr @count, align 4
  ret i32 %v
}
; --- two.ll
@count = internal global i32 2, align 4

define i32 @two() {
  %v = load i32, ptr @count, align 4
  ret i32 %v
}
