break zoo::feed
break hidden
break use_lambda
break containers
break might_throw
break zoo::Otter::noise
info breakpoints
ptype zoo::Animal
ptype zoo::Otter
ptype zoo::Otter::Toy
ptype zoo::Diet
whatis zoo::Animal::born
print zoo::Animal::born
print zoo::Animal::most
print zoo::deep::lost
print lost
print quiet
print sizeof(zoo::Otter)
ptype zoo::Ring<short, 4>
ptype Error
ptype z::Diet
ptype Diet
info line zoo::Otter::depth
list zoo::Animal::noise
info types Secret
info functions noise
info scope references
catch throw
run
backtrace
up
info locals
print animals
print secret
print small
ptype secret
whatis secrets
ptype secrets
print ring
whatis ring
info locals
ptype Secret
print *animals[0]
print animals[1]
print animals.size()
down
next
next
step
info locals
print animal
print one
print one.name()
info vtbl one
print one.legs()
print *this
print one.legs_
set print object on
print one
whatis one
set print object off
continue
backtrace
print *this
print this
whatis this
ptype this
print loud
print this->toy_
print toy_.diet
print depth()
info locals
next
print base
finish
continue
backtrace
print secret
ptype secret
ptype Secret
print seen
next
print seen
up
info locals
print kind
continue
backtrace
print secret
ptype Secret
print seen
up
info locals
print kind
print secret
print ring
ptype ring
print *secret.next
tbreak zoo::deep::fish
continue
info args
print it
print *&it
print lost
finish
tbreak zoo::twice<int>
continue
next
info locals
backtrace
tbreak zoo::twice<double>
continue
next
info locals
continue
backtrace
info locals
continue
backtrace
info locals
continue
backtrace 3
continue
next
next
step
info locals
info args
print *this
ptype this
print sum
next
print sum
finish
tbreak references
continue
info args
print in
print toy
print moved
next
next
next
info locals
ptype in
ptype moved
continue
next
next
next
next
next
next
info locals
print numbers
print ages
print text
print *one
print toys
print toys[1].diet
print numbers[2]
ptype toys
whatis ages
print text.size()
tbreak Outer<long>::get
continue
next
info locals
print *this
ptype this
ptype local
print inner.value
up
print outer
print ring.last()
print zoo::twice(4)
print quiet
delete
continue
