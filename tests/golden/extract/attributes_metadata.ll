; Attribute groups and metadata are numbered by first use. Types that only alias analysis knows lose their names,
; nodes that nobody names are left out.
define i32 @load(ptr %p) #3 {
  %v = load i32, ptr %p, align 4, !tbaa !10, !range !20
  ret i32 %v
}

define void @store(ptr %p) #1 {
  store i32 1, ptr %p, align 4, !tbaa !10
  ret void
}

attributes #1 = { nounwind "frame-pointer"="all" }
attributes #2 = { cold }
attributes #3 = { noinline nounwind }

!llvm.module.flags = !{!1}
!llvm.ident = !{!2}
!1 = !{i32 1, !"wchar_size", i32 4}
!2 = !{!"some compiler"}
!10 = !{!11, !12, i64 0}
!11 = !{!"item", !12, i64 0, !13, i64 8}
!12 = !{!"int", !14, i64 0}
!13 = !{!"any pointer", !14, i64 0}
!14 = !{!"omnipotent char", !15, i64 0}
!15 = !{!"Simple C/C++ TBAA"}
!20 = !{i32 0, i32 100}
