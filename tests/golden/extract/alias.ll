; An alias stands with what it is a second name of; others see it as a declaration.
@other = alias i32 (), ptr @real

define i32 @real() {
  ret i32 4
}

define i32 @user() {
  %v = call i32 @other()
  ret i32 %v
}
