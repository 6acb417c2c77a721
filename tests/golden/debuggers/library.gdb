break main
run
tbreak count_nodes
continue
next
next
info locals
print holder
print *holder.node
ptype struct Opaque
tbreak nodes.c:34
continue
backtrace
info locals
print folded
print hidden
ptype node
