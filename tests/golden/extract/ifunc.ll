; What is chosen at start stands with the resolver that chooses it.
@chosen = ifunc i32 (i32), ptr @choose

define internal i32 @slow(i32 %x) {
  %y = mul i32 %x, 3
  ret i32 %y
}

define internal ptr @choose() {
  ret ptr @slow
}

define i32 @user() {
  %v = call i32 @chosen(i32 1)
  ret i32 %v
}
