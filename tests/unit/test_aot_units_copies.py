"""Which constants each unit may hold its own copy of."""

import pytest

from nativecache.aot.codegen.llvm import read_module
from nativecache.aot.ir.module import Entity, index_module
from nativecache.aot.units.copies import copyable


@pytest.mark.parametrize(
    "constant",
    [
        '[6 x i8] c"hello\\00"',
        "[3 x i32] [i32 104, i32 105, i32 0]",
        "i32 7",
        "[2 x i64] [i64 1, i64 2]",
        "[4 x double] zeroinitializer",
    ],
)
def test_constants_that_linkers_merge_may_be_copied(constant: str) -> None:
    assert copyable(entity(f"@c = private unnamed_addr constant {constant}\n"))


@pytest.mark.parametrize(
    "line",
    [
        "@c = private constant i32 7",  # its address means something
        "@c = private unnamed_addr global i32 7",
        "@c = unnamed_addr constant i32 7",  # others may name it
        "@c = private unnamed_addr constant [3 x i32] [i32 1, i32 2, i32 3]",  # 12 bytes: no such section
        '@c = private unnamed_addr constant [5 x i8] c"hello"',  # no NUL at its end
        '@c = private unnamed_addr constant [5 x i8] c"ab\\00c\\00"',
        '@c = private unnamed_addr constant i32 7, section "mine"',
        "@c = private unnamed_addr constant ptr @f",
        "@c = internal thread_local unnamed_addr constant i32 7",
    ],
)
def test_other_variables_exist_once(line: str) -> None:
    assert not copyable(entity(f"{line}\ndeclare void @f()\n"))


def entity(text: str) -> Entity:
    module = index_module(read_module((text + "define ptr @user() {\n  ret ptr @c\n}\n").encode()), "a.ll")
    return module.entities["@c"]
