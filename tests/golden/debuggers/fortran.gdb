break inner
run
up
info locals
info common
print keep
down
next
next
info locals
info scope inner
print b
print z
break second
continue
next
next
info locals
info args
info common
info common blk
print w
print whole
ptype w
info symbol first_
print keep
ptype second
info functions ^(first|second|inner)$
