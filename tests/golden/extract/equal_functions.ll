; Two equal functions over other names are one unit: one text, and bindings that tell them apart.
%struct.item = type { i32, ptr }
%class.Node = type { i32, ptr }
@total = global i32 0, align 4
@count = global i32 0, align 4

define ptr @first(ptr %item) {
entry:
  store i32 1, ptr @total, align 4
  %where = getelementptr %struct.item, ptr %item, i32 0, i32 1
  ret ptr %where
}

define ptr @_ZN4Node6secondEv(ptr %this) {
start:
  store i32 1, ptr @count, align 4
  %0 = getelementptr %class.Node, ptr %this, i32 0, i32 1
  ret ptr %0
}
