break visit
break helper
break factorial
info line local_types
run
backtrace
continue
backtrace
next
continue
backtrace
continue
backtrace
finish
info types Shape
info types Node
info variables ratio
