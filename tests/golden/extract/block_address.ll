; The address of a block means something in its function only: who takes it stays together with that function.
@jumps = internal constant [2 x ptr] [ptr blockaddress(@run, %one), ptr blockaddress(@run, %two)], align 8

define i32 @run(i64 %n) {
entry:
  %at = getelementptr [2 x ptr], ptr @jumps, i64 0, i64 %n
  %where = load ptr, ptr %at, align 8
  indirectbr ptr %where, [label %one, label %two]

one:
  ret i32 1

two:
  ret i32 2
}

define i32 @apart() {
  ret i32 3
}
