; A constant that is not merged is there once, a unit of data; users may still look into it.
@primes = internal constant [3 x i32] [i32 2, i32 3, i32 5], align 4

define ptr @where() {
  ret ptr @primes
}

define i32 @second() {
  %at = getelementptr [3 x i32], ptr @primes, i64 0, i64 1
  %v = load i32, ptr %at, align 4
  ret i32 %v
}
