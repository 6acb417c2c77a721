"""Tests for what link options say about symbols."""

from __future__ import annotations

from pathlib import Path

import pytest

from nativecache.linker.symbol_options import SymbolOptions, linker_words, read_symbol_options

NOTHING = read_symbol_options(())


def told(*options: str) -> SymbolOptions:
    return read_symbol_options(options)


def assigned(*options: str) -> frozenset[str]:
    return told(*options).assigned - NOTHING.assigned


def test_words_as_the_linker_sees_them(tmp_path: Path) -> None:
    (tmp_path / "inner").write_text("--defsym 'a=b'")
    (tmp_path / "outer").write_text(f"-Wl,-x,@{tmp_path}/inner")
    words = ["-Wl,--wrap,f", "-Xlinker", "-z", "-Xlinker", "muldefs", "-s", f"@{tmp_path}/outer", "@gone"]
    expected = ["--wrap", "f", "-z", "muldefs", "-s", "-x", "--defsym", "a=b", "@gone"]
    assert list(linker_words(words)) == expected


@pytest.mark.parametrize(
    "options",
    [
        ("-Wl,--defsym=impl=other",),
        ("-Wl,-defsym=impl=other",),
        ("-Wl,--defsym,impl=other",),
        ("-Xlinker", "--defsym", "-Xlinker", "impl=other"),
        ("-Wl,--defs=impl=(other+0)",),  # GNU ld takes what is no other option's beginning
        ("-Wl,--option-of-tomorrow=impl:other",),
        ("-Wl,--option-of-tomorrow,impl=other",),
    ],
)
def test_assigned_symbols(options: tuple[str, ...]) -> None:
    assert {"impl", "other"} <= assigned(*options)
    assert told(*options).names("other")


@pytest.mark.parametrize("options", [("-Wl,--wrap=f",), ("-Wl,-wrap,f",), ("-Wl,--wra=f",)])
def test_wrapped_symbols(options: tuple[str, ...]) -> None:
    found = told(*options)
    assert {"f", "__real_f"} <= found.assigned
    assert found.names("__wrap_f") and found.names("f")


@pytest.mark.parametrize(
    "option",
    [
        "-Wl,-u,f",
        "-uf",
        "-Wl,--undefined=f",
        "-Wl,--require-defined,f",
        "-Wl,-e,f",
        "-Wl,--entry=f",
        "-Wl,-init=f",
        "-Wl,-fini,f",
        "-Wl,-y,f",
        "-Wl,--undefined-glob=[ef]*",
        "-Wl,--export-dynamic-symbol=f*",
    ],
)
def test_symbols_that_must_be_there(option: str) -> None:
    found = told(option)
    assert found.names("f") and not NOTHING.names("f")
    assert found.assigned == NOTHING.assigned
    assert not found.any_assigned and not found.exports


@pytest.mark.parametrize(
    "option",
    [
        "-Wl,-z,muldefs",
        "-Wl,-zmuldefs",
        "-Wl,--allow-multiple-definition",
        "-Wl,--noinhibit-exec",
        "-zmuldefs",
    ],
)
def test_several_definitions(option: str) -> None:
    assert told(option).multiple and not NOTHING.multiple


@pytest.mark.parametrize("option", ["-rdynamic", "-Wl,-E", "-Wl,--export-dynamic", "-Wl,--dynamic-list-data"])
def test_everything_is_exported(option: str) -> None:
    assert told(option).exports


@pytest.mark.parametrize(
    "words",
    [
        "-lm -L/lib -s -static -pthread -Wl,--gc-sections -Wl,-O1 -Wl,-z,now -Wl,--as-needed",
        "-Wl,-soname,libf.so -Wl,-rpath=/f -Wl,--hash-style=gnu -Wl,--build-id=sha1 -Wl,-Ttext=0x1000",
        "-Wl,--exclude-libs,ALL -Wl,-Bsymbolic -Wl,--icf=none -Wl,-Map,f.map -fuse-ld=lld",
    ],
)
def test_options_that_say_nothing(words: str) -> None:
    found = told(*words.split())
    assert (found.assigned, found.named) == (NOTHING.assigned, NOTHING.named)
    assert not (found.any_assigned or found.exports or found.multiple or found.scripted or found.shared)
    assert not found.by_section


@pytest.mark.parametrize(
    "option",
    [
        "-Wl,--unique=.text.f",
        "-Wl,--unique",
        "-Wl,--sort-section=name",
        "-Wl,--sort-section,name",
        "-Wl,--section-start=.text.f=0x10000",
        "-Wl,--symbol-ordering-file={}",
        "-Wl,--call-graph-ordering-file={}",
        "-Wl,--section-ordering-file,{}",
        "-Wl,--shuffle-sections=*=-1",
        "-Wl,--reverse-sections",
        "-Wl,--split-by-reloc",
        "-T {}",
        "{}",
        "-Wl,-T,{}",
        "-Wl,-T,gone.ld",
    ],
)
def test_sections_are_asked_for_by_name(tmp_path: Path, option: str) -> None:
    path = tmp_path / "list"
    path.write_text("f\n")
    assert told(*option.format(path).split()).by_section


def test_a_script_that_only_names_libraries_places_no_section(tmp_path: Path) -> None:
    path = tmp_path / "libf.so"
    path.write_text("/* GNU ld script */\nGROUP ( -lc AS_NEEDED ( -lm ) )\n")
    assert not told(str(path)).by_section and not NOTHING.by_section


def test_archives_are_unlike_objects() -> None:
    assert told("-Wl,--exclude-libs,ALL").loose and not NOTHING.loose


def test_a_shared_library_by_a_link_option() -> None:
    assert told("-shared").shared and told("-Wl,-Bshareable").shared


@pytest.mark.parametrize(
    "how", ["-T{}", "-T {}", "-Wl,-T,{}", "-Wl,--script={}", "-Wl,-dT,{}", "{}", "-Wl,{}"]
)
def test_scripts(tmp_path: Path, how: str) -> None:
    path = tmp_path / "s.ld"
    path.write_text("SECTIONS { impl = other; }")
    found = told(*how.format(path).split())
    assert {"impl", "other"} <= found.assigned
    assert found.scripted and found.loose and found.exports and not found.any_assigned
    assert found.files == (str(path),)


def test_what_is_not_found_may_say_anything() -> None:
    found = told("-Tgone.ld")
    assert found.any_assigned and found.exports
    assert told("-Wl,--remap-inputs=a=b").any_assigned


def test_lists_of_symbols(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("{ one; t*; };")
    found = told(f"-Wl,--export-dynamic-symbol-list={path}")
    assert found.names("one") and found.names("two") and found.exports
    ordered = told(f"-Wl,--symbol-ordering-file={path}")
    assert ordered.names("one") and not ordered.exports
    assert ordered.lists and told(f"-Wl,--retain-symbols-file={path}").lists and not found.lists
    assert found.assigned == ordered.assigned == NOTHING.assigned


def test_symbols_at_fixed_places(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"\x7fELF")
    assert told(f"-Wl,--just-symbols={image}").any_assigned
    assert not told(f"-Wl,-R,{tmp_path}").any_assigned  # a folder to look for libraries in


def test_simple_assignments_need_no_special_linker() -> None:
    assert not told("-Wl,--defsym=a=b", "-Wl,--defsym=c=0x10", "-Wl,--wrap=f").scripted
    assert told("-Wl,--defsym=a=b+1").scripted
