break f
break g
break other
run
next
next
print local
print *p
print counter
print level
up
print twin
print counter
print level
continue
next
next
print local
print *p
print counter
print level
continue
next
next
print twin
print *p
print counter
print level
