break main
run
break visit
list visit
info line visit
continue
backtrace
