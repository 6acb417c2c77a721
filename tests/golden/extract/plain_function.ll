; A short function is simplified alone first. The program's symbols are numbered by first use, values and blocks
; lose their names; `printf` is known to LLVM by its name and keeps it, `unused` is not there.
%struct.item = type { i32, ptr }
@total = global i32 0, align 4
declare i32 @printf(ptr, ...)
declare i32 @unused(i32)

define i32 @take(ptr %item, i32 %n) {
entry:
  %where = getelementptr %struct.item, ptr %item, i32 0, i32 1
  %next = load ptr, ptr %where, align 8
  %found = icmp eq i32 %n, 7
  br i1 %found, label %yes, label %no

yes:
  store i32 %n, ptr @total, align 4
  %said = call i32 (ptr, ...) @printf(ptr %next)
  br label %no

no:
  ret i32 %n
}
