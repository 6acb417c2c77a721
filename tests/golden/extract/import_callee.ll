; A short function of another file comes along as available_externally, simplified, so that it can be inlined.
; --- main.ll
declare i32 @twice(i32)

define i32 @main() {
  %a = call i32 @twice(i32 20)
  %b = call i32 @twice(i32 %a)
  ret i32 %b
}
; --- twice.ll
define i32 @twice(i32 %x) {
entry:
  %copy = alloca i32, align 4
  store i32 %x, ptr %copy, align 4
  %value = load i32, ptr %copy, align 4
  %sum = add i32 %value, %value
  ret i32 %sum
}
