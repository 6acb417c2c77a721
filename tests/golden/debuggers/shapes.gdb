break main
break helper
break shapes.c:107
break grammar.y:1001
break statics
info breakpoints
info line visit
info line shapes.c:120
list factorial
list nodes.c:34,38
info scope local_types
info scope nodes.c:37
info types Node
info types Kind
info functions helper
ptype struct Shape
ptype Visit
whatis visit
whatis shapes
print sizeof(struct Shape)
print sizeof(union Value)
ptype enum Colour
ptype Size
ptype struct Flags
ptype/o struct Shape
print limit
print ratio
print table
print &table
print folded
print 'shapes.c'::folded
print 'nodes.c'::folded
print RED
print (enum Colour)5
print BLUE
run
backtrace
info args
info locals
next
next
print origin
print *where
print where->y
break visit
continue
backtrace
print *shape
print shape->corners
print shape->corners[1]
print shape->inner
print shape->flags
print shape->value
print *shape->next
print *shape->opaque
print shape->opaque->holder
print *shape->opaque->holder
ptype shape
ptype shape->opaque
ptype *shape
whatis *shape
whatis shape->corners[1]
info source
next
next
step
info locals
finish
continue
backtrace
info args
next
next
print node
print *head
print count
ptype node
ptype struct Node
info locals
watch count
continue
continue
delete 7
continue
backtrace
up
info locals
print pair
ptype pair
down
step
step
step
info locals
print node
print *node.left
ptype node
ptype struct Node
print kind
print holder
print tree
print count
print folded
ptype struct Holder
ptype struct Pair
continue
info locals
next
next
next
info locals
until
continue
next
info locals
tbreak make_pair
continue
step
info locals
finish
tbreak sum_big
continue
next
next
next
info locals
print big.numbers[1]@3
until 116
tbreak local_types
continue
next
next
info locals
ptype local
ptype mode
whatis alias
ptype alias
print *alias
print local.deep
continue
next
info locals
continue
info source
step
info locals
backtrace
tbreak loops
continue
info args
next
next
next
print array
ptype array
whatis array
info locals
tbreak factorial if n == 1
continue
backtrace
frame 2
info args
finish
print factorial(4)
print make_pair(1, 2.0)
print clamp(3, 2)
print calls
print *head
print wide
print shapes
print/x shapes[1].flags
set var shapes[0].flags.b = 3
print shapes[0].flags
set var total = 5
print total
delete
continue
