; A string that linkers merge again is copied into each unit that uses it.
@.str = private unnamed_addr constant [6 x i8] c"hello\00", align 1
@.str.7 = private unnamed_addr constant [6 x i8] c"world\00", align 1
declare i32 @puts(ptr)

define void @first() {
  %a = call i32 @puts(ptr @.str)
  ret void
}

define void @second() {
  %a = call i32 @puts(ptr @.str.7)
  %b = call i32 @puts(ptr @.str)
  ret void
}
