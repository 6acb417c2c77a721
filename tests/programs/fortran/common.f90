subroutine first(n)
  implicit none
  integer :: n
  integer :: a, b
  real :: c(3)
  integer :: z
  common /blk/ a, b, c
  common z
  integer, save :: keep = 3
  a = n
  b = n * 2
  c(2) = 1.5
  z = 9
  keep = keep + a
  call inner(5)
contains
  subroutine inner(k)
    integer :: k, m
    m = k + a + keep
    z = m
  end subroutine
end subroutine

subroutine second(name)
  implicit none
  integer :: x, y
  real :: w(3)
  common /blk/ x, y, w
  character(len=*) :: name
  integer :: whole(2)
  equivalence (x, whole(1))
  x = x + len(name)
  y = whole(1)
end subroutine
