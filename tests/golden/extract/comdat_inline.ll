; An inline function of C++ that two files have: the first prevails, its comdat is needed in objects only.
; --- one.ll
$_Z3maxii = comdat any

define linkonce_odr i32 @_Z3maxii(i32 %a, i32 %b) comdat {
  %more = icmp sgt i32 %a, %b
  %r = select i1 %more, i32 %a, i32 %b
  ret i32 %r
}

define i32 @one(i32 %x) {
  %r = call i32 @_Z3maxii(i32 %x, i32 1)
  ret i32 %r
}
; --- two.ll
$_Z3maxii = comdat any

define linkonce_odr i32 @_Z3maxii(i32 %a, i32 %b) comdat {
  %more = icmp sgt i32 %a, %b
  %r = select i1 %more, i32 %a, i32 %b
  ret i32 %r
}

define i32 @two(i32 %x) {
  %r = call i32 @_Z3maxii(i32 %x, i32 2)
  ret i32 %r
}
