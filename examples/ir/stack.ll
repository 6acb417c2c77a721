; A stack machine: @main runs the instructions of @program, which count down and multiply.

%instruction = type { i8, i64 }
%machine = type { i64, i64, [16 x i64] } ; next instruction, stack height, stack

; push = 0, add = 1, multiply = 2, over = 3, print = 4, jump unless zero = 5, swap = 6, drop = 7
@program = internal constant [13 x %instruction] [
  %instruction { i8 0, i64 1 },   ;  0: product
  %instruction { i8 0, i64 10 },  ;  1: counter
  %instruction { i8 6, i64 0 },   ;  2: counter product
  %instruction { i8 3, i64 0 },   ;  3: counter product counter
  %instruction { i8 2, i64 0 },   ;  4: counter product'
  %instruction { i8 4, i64 0 },   ;  5
  %instruction { i8 6, i64 0 },   ;  6: product' counter
  %instruction { i8 0, i64 -1 },  ;  7
  %instruction { i8 1, i64 0 },   ;  8: product' counter'
  %instruction { i8 5, i64 2 },   ;  9: on to 2, unless the counter is zero
  %instruction { i8 7, i64 0 },   ; 10: product
  %instruction { i8 4, i64 0 },   ; 11
  %instruction { i8 8, i64 0 }    ; 12: no such operation, so stop
]

@names = internal constant [9 x ptr] [ptr @push, ptr @add, ptr @multiply, ptr @over, ptr @print, ptr @jump,
                                      ptr @swap, ptr @drop, ptr @stop]
@push = private unnamed_addr constant [5 x i8] c"push\00"
@add = private unnamed_addr constant [4 x i8] c"add\00"
@multiply = private unnamed_addr constant [9 x i8] c"multiply\00"
@over = private unnamed_addr constant [5 x i8] c"over\00"
@print = private unnamed_addr constant [6 x i8] c"print\00"
@jump = private unnamed_addr constant [5 x i8] c"jump\00"
@swap = private unnamed_addr constant [5 x i8] c"swap\00"
@drop = private unnamed_addr constant [5 x i8] c"drop\00"
@stop = private unnamed_addr constant [5 x i8] c"stop\00"

@started = private unnamed_addr constant [30 x i8] c"the product of 10, 9, 8, etc.\00"
@format = private unnamed_addr constant [13 x i8] c"  %lld (%s)\0A\00"
@steps = internal global i64 0
@summary = private unnamed_addr constant [12 x i8] c"%lld steps\0A\00"

declare i32 @puts(ptr)
declare i32 @printf(ptr, ...)

define internal void @push_value(ptr %machine, i64 %value) {
  %height.at = getelementptr %machine, ptr %machine, i32 0, i32 1
  %height = load i64, ptr %height.at
  %slot = getelementptr %machine, ptr %machine, i32 0, i32 2, i64 %height
  store i64 %value, ptr %slot
  %higher = add i64 %height, 1
  store i64 %higher, ptr %height.at
  ret void
}

define internal i64 @pop_value(ptr %machine) {
  %height.at = getelementptr %machine, ptr %machine, i32 0, i32 1
  %height = load i64, ptr %height.at
  %lower = sub i64 %height, 1
  store i64 %lower, ptr %height.at
  %slot = getelementptr %machine, ptr %machine, i32 0, i32 2, i64 %lower
  %value = load i64, ptr %slot
  ret i64 %value
}

define internal void @show_value(i64 %value, i8 %operation) {
  %name.at = getelementptr [9 x ptr], ptr @names, i64 0, i8 %operation
  %name = load ptr, ptr %name.at
  %written = call i32 (ptr, ...) @printf(ptr @format, i64 %value, ptr %name)
  ret void
}

; Runs one instruction; false once there is nothing left to run.
define internal i1 @step(ptr %machine) {
entry:
  %next = load i64, ptr %machine
  %after = add i64 %next, 1
  store i64 %after, ptr %machine
  %count = load i64, ptr @steps
  %more = add i64 %count, 1
  store i64 %more, ptr @steps
  %instruction = getelementptr [13 x %instruction], ptr @program, i64 0, i64 %next
  %operation = load i8, ptr %instruction
  %operand.at = getelementptr %instruction, ptr %instruction, i32 0, i32 1
  %operand = load i64, ptr %operand.at
  switch i8 %operation, label %halt [
    i8 0, label %pushing
    i8 1, label %adding
    i8 2, label %multiplying
    i8 3, label %copying
    i8 4, label %printing
    i8 5, label %jumping
    i8 6, label %swapping
    i8 7, label %dropping
  ]
pushing:
  call void @push_value(ptr %machine, i64 %operand)
  br label %on
adding:
  %a = call i64 @pop_value(ptr %machine)
  %b = call i64 @pop_value(ptr %machine)
  %sum = add i64 %a, %b
  call void @push_value(ptr %machine, i64 %sum)
  br label %on
multiplying:
  %c = call i64 @pop_value(ptr %machine)
  %d = call i64 @pop_value(ptr %machine)
  %product = mul i64 %c, %d
  call void @push_value(ptr %machine, i64 %product)
  br label %on
copying:
  %e = call i64 @pop_value(ptr %machine)
  %f = call i64 @pop_value(ptr %machine)
  call void @push_value(ptr %machine, i64 %f)
  call void @push_value(ptr %machine, i64 %e)
  call void @push_value(ptr %machine, i64 %f)
  br label %on
printing:
  %g = call i64 @pop_value(ptr %machine)
  call void @show_value(i64 %g, i8 %operation)
  call void @push_value(ptr %machine, i64 %g)
  br label %on
jumping:
  %h = call i64 @pop_value(ptr %machine)
  call void @push_value(ptr %machine, i64 %h)
  %zero = icmp eq i64 %h, 0
  %target = select i1 %zero, i64 %after, i64 %operand
  store i64 %target, ptr %machine
  br label %on
swapping:
  %i = call i64 @pop_value(ptr %machine)
  %j = call i64 @pop_value(ptr %machine)
  call void @push_value(ptr %machine, i64 %i)
  call void @push_value(ptr %machine, i64 %j)
  br label %on
dropping:
  %k = call i64 @pop_value(ptr %machine)
  br label %on
on:
  ret i1 true
halt:
  ret i1 false
}

define i32 @main() {
entry:
  %machine = alloca %machine
  store %machine zeroinitializer, ptr %machine
  %said = call i32 @puts(ptr @started)
  br label %loop
loop:
  %more = call i1 @step(ptr %machine)
  br i1 %more, label %loop, label %done
done:
  %steps = load i64, ptr @steps
  %written = call i32 (ptr, ...) @printf(ptr @summary, i64 %steps)
  ret i32 0
}
