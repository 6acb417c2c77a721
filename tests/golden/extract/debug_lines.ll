; Debug information: a line is a range's number and a distance, put right in the object; the folder and checksums
; likewise. A structure is declared in the units that use it, and described once, in the unit of the file's types.
%struct.point = type { i32, i32 }

define i32 @area(ptr %p) !dbg !10 {
    #dbg_value(ptr %p, !20, !DIExpression(), !30)
  %x = load i32, ptr %p, align 4, !dbg !31
  %at = getelementptr %struct.point, ptr %p, i32 0, i32 1, !dbg !32
  %y = load i32, ptr %at, align 4, !dbg !32
  %r = mul i32 %x, %y, !dbg !33
  ret i32 %r, !dbg !33
}

!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!2, !3}

!0 = distinct !DICompileUnit(language: DW_LANG_C11, file: !1, producer: "some compiler", isOptimized: true, runtimeVersion: 0, emissionKind: FullDebug, splitDebugInlining: false, nameTableKind: None)
!1 = !DIFile(filename: "area.c", directory: "/src", checksumkind: CSK_MD5, checksum: "21551f5f3a975ca4e24c24971aea1953")
!2 = !{i32 7, !"Dwarf Version", i32 5}
!3 = !{i32 2, !"Debug Info Version", i32 3}
!10 = distinct !DISubprogram(name: "area", scope: !1, file: !1, line: 40, type: !11, scopeLine: 40, flags: DIFlagPrototyped, spFlags: DISPFlagDefinition | DISPFlagOptimized, unit: !0, retainedNodes: !19)
!11 = !DISubroutineType(types: !12)
!12 = !{!13, !14}
!13 = !DIBasicType(name: "int", size: 32, encoding: DW_ATE_signed)
!14 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !15, size: 64)
!15 = distinct !DICompositeType(tag: DW_TAG_structure_type, name: "point", file: !1, line: 12, size: 64, elements: !16)
!16 = !{!17, !18}
!17 = !DIDerivedType(tag: DW_TAG_member, name: "x", scope: !15, file: !1, line: 13, baseType: !13, size: 32)
!18 = !DIDerivedType(tag: DW_TAG_member, name: "y", scope: !15, file: !1, line: 14, baseType: !13, size: 32, offset: 32)
!19 = !{!20}
!20 = !DILocalVariable(name: "p", arg: 1, scope: !10, file: !1, line: 40, type: !14)
!30 = !DILocation(line: 0, scope: !10)
!31 = !DILocation(line: 41, column: 16, scope: !10)
!32 = !DILocation(line: 42, column: 16, scope: !10)
!33 = !DILocation(line: 43, column: 14, scope: !10)
