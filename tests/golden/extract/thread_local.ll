; A thread's variable keeps its storage class where it is declared: how it is addressed depends on it.
@calls = internal thread_local global i32 0, align 4
@shared = external thread_local(initialexec) global i32, align 4
declare ptr @llvm.threadlocal.address.p0(ptr)

define i32 @count() {
  %own = call ptr @llvm.threadlocal.address.p0(ptr @calls)
  %v = load i32, ptr %own, align 4
  %more = add i32 %v, 1
  store i32 %more, ptr %own, align 4
  %all = call ptr @llvm.threadlocal.address.p0(ptr @shared)
  store i32 %more, ptr %all, align 4
  ret i32 %more
}
