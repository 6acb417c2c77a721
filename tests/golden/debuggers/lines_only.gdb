break shapes.c:76
break nodes.c:46
break factorial
run
backtrace
info args
next
info locals
continue
backtrace
up
info source
continue
backtrace
finish
