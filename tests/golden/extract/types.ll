; Types that are left where functions are simplified have no names: they are numbered, the innermost first.
%struct.item = type { i32, %struct.point }
%struct.point = type { float, float }

define void @fill(ptr %items, i64 %n) {
  %a0 = getelementptr %struct.item, ptr %items, i64 %n, i32 1, i32 0
  store volatile float 1.0, ptr %a0, align 4
  %a1 = getelementptr %struct.item, ptr %items, i64 %n, i32 1, i32 1
  store volatile float 1.0, ptr %a1, align 4
  %a2 = getelementptr %struct.item, ptr %items, i64 %n, i32 1, i32 0
  store volatile float 1.0, ptr %a2, align 4
  ret void
}
