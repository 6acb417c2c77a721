; flang-22 -g -O0 -S -emit-llvm common.f90
source_filename = "common.f90"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

@__BLNK__ = common global [4 x i8] zeroinitializer, align 4, !dbg !0, !dbg !10
@blk_ = common global [20 x i8] zeroinitializer, align 4, !dbg !14, !dbg !17, !dbg !19, !dbg !25, !dbg !28, !dbg !32, !dbg !37, !dbg !39
@_QFfirstEkeep = internal global i32 3, !dbg !41

define void @first_(ptr noalias %0) #0 !dbg !3 {
  %2 = alloca i32, i64 1, align 4, !dbg !47
    #dbg_declare(ptr %0, !48, !DIExpression(), !49)
  %3 = load i32, ptr %0, align 4, !dbg !50
  store i32 %3, ptr @blk_, align 4, !dbg !50
  %4 = load i32, ptr %0, align 4, !dbg !51
  %5 = mul i32 %4, 2, !dbg !51
  store i32 %5, ptr getelementptr inbounds nuw (i8, ptr @blk_, i64 4), align 4, !dbg !51
  store float 1.500000e+00, ptr getelementptr inbounds nuw (i8, ptr @blk_, i64 12), align 4, !dbg !52
  store i32 9, ptr @__BLNK__, align 4, !dbg !53
  %6 = load i32, ptr @_QFfirstEkeep, align 4, !dbg !54
  %7 = load i32, ptr @blk_, align 4, !dbg !54
  %8 = add i32 %6, %7, !dbg !54
  store i32 %8, ptr @_QFfirstEkeep, align 4, !dbg !54
  store i32 5, ptr %2, align 4, !dbg !47
  call void @_QFfirstPinner(ptr %2), !dbg !47
  ret void, !dbg !55
}

define internal void @_QFfirstPinner(ptr noalias %0) #0 !dbg !13 {
  %2 = alloca i32, i64 1, align 4, !dbg !56
    #dbg_declare(ptr %0, !57, !DIExpression(), !58)
    #dbg_declare(ptr %2, !59, !DIExpression(), !56)
  %3 = load i32, ptr %0, align 4, !dbg !60
  %4 = load i32, ptr @blk_, align 4, !dbg !60
  %5 = add i32 %3, %4, !dbg !60
  %6 = load i32, ptr @_QFfirstEkeep, align 4, !dbg !60
  %7 = add i32 %5, %6, !dbg !60
  store i32 %7, ptr %2, align 4, !dbg !60
  %8 = load i32, ptr %2, align 4, !dbg !61
  store i32 %8, ptr @__BLNK__, align 4, !dbg !61
  ret void, !dbg !62
}

define void @second_(ptr noalias %0, i64 %1) #0 !dbg !31 {
  %3 = insertvalue { ptr, i64 } undef, ptr %0, 0, !dbg !63
  %4 = insertvalue { ptr, i64 } %3, i64 %1, 1, !dbg !63
  %5 = extractvalue { ptr, i64 } %4, 0, !dbg !64
  %6 = extractvalue { ptr, i64 } %4, 1, !dbg !64
    #dbg_value(i64 %6, !65, !DIExpression(), !64)
    #dbg_declare(ptr %5, !67, !DIExpression(), !64)
  %7 = load i32, ptr @blk_, align 4, !dbg !69
  %8 = trunc i64 %6 to i32, !dbg !69
  %9 = add i32 %7, %8, !dbg !69
  store i32 %9, ptr @blk_, align 4, !dbg !69
  %10 = load i32, ptr @blk_, align 4, !dbg !70
  store i32 %10, ptr getelementptr inbounds nuw (i8, ptr @blk_, i64 4), align 4, !dbg !70
  ret void, !dbg !71
}

attributes #0 = { "frame-pointer"="all" "target-cpu"="x86-64" }

!llvm.dbg.cu = !{!8}
!llvm.ident = !{!43}
!llvm.module.flags = !{!44, !45, !46}

!0 = !DIGlobalVariableExpression(var: !1, expr: !DIExpression())
!1 = distinct !DIGlobalVariable(name: "z", linkageName: "_QFfirstEz", scope: !2, file: !4, line: 6, type: !7, isLocal: false, isDefinition: true)
!2 = !DICommonBlock(scope: !3, declaration: null, name: "__BLNK__", file: !4, line: 1)
!3 = distinct !DISubprogram(name: "first", linkageName: "first_", scope: !4, file: !4, line: 1, type: !5, scopeLine: 1, spFlags: DISPFlagDefinition, unit: !8)
!4 = !DIFile(filename: "common.f90", directory: "/")
!5 = !DISubroutineType(cc: DW_CC_normal, types: !6)
!6 = !{null, !7}
!7 = !DIBasicType(name: "integer", size: 32, encoding: DW_ATE_signed)
!8 = distinct !DICompileUnit(language: DW_LANG_Fortran95, file: !4, producer: "Debian flang version 22.1.8", isOptimized: false, runtimeVersion: 0, emissionKind: FullDebug, globals: !9)
!9 = !{!0, !10, !14, !17, !19, !25, !28, !32, !37, !39, !41}
!10 = !DIGlobalVariableExpression(var: !11, expr: !DIExpression())
!11 = distinct !DIGlobalVariable(name: "z", linkageName: "_QFfirstEz", scope: !12, file: !4, line: 6, type: !7, isLocal: false, isDefinition: true)
!12 = !DICommonBlock(scope: !13, declaration: null, name: "__BLNK__", file: !4, line: 1)
!13 = distinct !DISubprogram(name: "inner", linkageName: "_QFfirstPinner", scope: !3, file: !4, line: 17, type: !5, scopeLine: 17, spFlags: DISPFlagDefinition, unit: !8)
!14 = !DIGlobalVariableExpression(var: !15, expr: !DIExpression())
!15 = distinct !DIGlobalVariable(name: "a", linkageName: "_QFfirstEa", scope: !16, file: !4, line: 4, type: !7, isLocal: false, isDefinition: true)
!16 = !DICommonBlock(scope: !3, declaration: null, name: "blk", file: !4, line: 7)
!17 = !DIGlobalVariableExpression(var: !18, expr: !DIExpression(DW_OP_plus_uconst, 4))
!18 = distinct !DIGlobalVariable(name: "b", linkageName: "_QFfirstEb", scope: !16, file: !4, line: 4, type: !7, isLocal: false, isDefinition: true)
!19 = !DIGlobalVariableExpression(var: !20, expr: !DIExpression(DW_OP_plus_uconst, 8))
!20 = distinct !DIGlobalVariable(name: "c", linkageName: "_QFfirstEc", scope: !16, file: !4, line: 5, type: !21, isLocal: false, isDefinition: true)
!21 = !DICompositeType(tag: DW_TAG_array_type, baseType: !22, elements: !23)
!22 = !DIBasicType(name: "real", size: 32, encoding: DW_ATE_float)
!23 = !{!24}
!24 = !DISubrange(count: 3)
!25 = !DIGlobalVariableExpression(var: !26, expr: !DIExpression())
!26 = distinct !DIGlobalVariable(name: "a", linkageName: "_QFfirstEa", scope: !27, file: !4, line: 4, type: !7, isLocal: false, isDefinition: true)
!27 = !DICommonBlock(scope: !13, declaration: null, name: "blk", file: !4, line: 7)
!28 = !DIGlobalVariableExpression(var: !29, expr: !DIExpression(DW_OP_plus_uconst, 8))
!29 = distinct !DIGlobalVariable(name: "w", linkageName: "_QFsecondEw", scope: !30, file: !4, line: 27, type: !21, isLocal: false, isDefinition: true)
!30 = !DICommonBlock(scope: !31, declaration: null, name: "blk", file: !4, line: 7)
!31 = distinct !DISubprogram(name: "second", linkageName: "second_", scope: !4, file: !4, line: 24, type: !5, scopeLine: 24, spFlags: DISPFlagDefinition, unit: !8)
!32 = !DIGlobalVariableExpression(var: !33, expr: !DIExpression())
!33 = distinct !DIGlobalVariable(name: "whole", linkageName: "_QFsecondEwhole", scope: !30, file: !4, line: 30, type: !34, isLocal: false, isDefinition: true)
!34 = !DICompositeType(tag: DW_TAG_array_type, baseType: !7, elements: !35)
!35 = !{!36}
!36 = !DISubrange(count: 2)
!37 = !DIGlobalVariableExpression(var: !38, expr: !DIExpression())
!38 = distinct !DIGlobalVariable(name: "x", linkageName: "_QFsecondEx", scope: !30, file: !4, line: 26, type: !7, isLocal: false, isDefinition: true)
!39 = !DIGlobalVariableExpression(var: !40, expr: !DIExpression(DW_OP_plus_uconst, 4))
!40 = distinct !DIGlobalVariable(name: "y", linkageName: "_QFsecondEy", scope: !30, file: !4, line: 26, type: !7, isLocal: false, isDefinition: true)
!41 = !DIGlobalVariableExpression(var: !42, expr: !DIExpression())
!42 = distinct !DIGlobalVariable(name: "keep", linkageName: "_QFfirstEkeep", scope: !3, file: !4, line: 9, type: !7, isLocal: false, isDefinition: true)
!43 = !{!"Debian flang version 22.1.8"}
!44 = !{i32 2, !"Debug Info Version", i32 3}
!45 = !{i32 8, !"PIC Level", i32 2}
!46 = !{i32 7, !"PIE Level", i32 2}
!47 = !DILocation(line: 15, column: 3, scope: !3)
!48 = !DILocalVariable(name: "n", arg: 1, scope: !3, file: !4, line: 3, type: !7)
!49 = !DILocation(line: 1, column: 1, scope: !3)
!50 = !DILocation(line: 10, column: 3, scope: !3)
!51 = !DILocation(line: 11, column: 3, scope: !3)
!52 = !DILocation(line: 12, column: 3, scope: !3)
!53 = !DILocation(line: 13, column: 3, scope: !3)
!54 = !DILocation(line: 14, column: 3, scope: !3)
!55 = !DILocation(line: 22, column: 1, scope: !3)
!56 = !DILocation(line: 18, column: 19, scope: !13)
!57 = !DILocalVariable(name: "k", arg: 1, scope: !13, file: !4, line: 18, type: !7)
!58 = !DILocation(line: 17, column: 3, scope: !13)
!59 = !DILocalVariable(name: "m", scope: !13, file: !4, line: 18, type: !7)
!60 = !DILocation(line: 19, column: 5, scope: !13)
!61 = !DILocation(line: 20, column: 5, scope: !13)
!62 = !DILocation(line: 21, column: 3, scope: !13)
!63 = !DILocation(line: 24, column: 1, scope: !31)
!64 = !DILocation(line: 29, column: 23, scope: !31)
!65 = !DILocalVariable(name: "._QFsecondEname1", scope: !31, file: !4, type: !66, flags: DIFlagArtificial)
!66 = !DIBasicType(name: "integer(kind=8)", size: 64, encoding: DW_ATE_signed)
!67 = !DILocalVariable(name: "name", arg: 1, scope: !31, file: !4, line: 29, type: !68)
!68 = !DIStringType(stringLength: !65, encoding: DW_ATE_ASCII)
!69 = !DILocation(line: 32, column: 3, scope: !31)
!70 = !DILocation(line: 33, column: 3, scope: !31)
!71 = !DILocation(line: 34, column: 1, scope: !31)
