break visit
break shapes.c:70
break nodes.c:34
info line visit
run
backtrace 1
info args
print *shape
ptype shape
next
info locals
print AREA
up
info source
continue
backtrace 1
info args
print count
print node
ptype node
print folded
continue
backtrace 2
ptype node
ptype holder
print count
print kind
print folded
up
info args
ptype pair
print tree
