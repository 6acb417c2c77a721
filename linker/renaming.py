"""Renames symbols in an object, and cuts names short in an image.

Nothing is moved: the new string table is appended to the file, so every other offset stays valid. A string
table is never edited in place, because LLVM shares one between symbols and sections and merges tails (`nc.0`
may be the end of `.rela.text.nc.0`): the old bytes stay as a prefix and the new names follow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from mmap import mmap
from struct import Struct

from nativecache.linker import lazy_re as re
from nativecache.linker.elf import (
    ET_DYN,
    ET_EXEC,
    ET_REL,
    EXTENT,
    SH_NAME,
    SH_OFFSET,
    SHN_UNDEF,
    SHT_REL,
    SHT_RELA,
    SHT_SYMTAB,
    STB_LOCAL,
    STV_HIDDEN,
    STV_INTERNAL,
    SYMBOL,
    WORD,
    Headers,
    Names,
    contents,
    encode_name,
    find_section,
    header_at,
    read_headers,
    string_at,
    string_table,
)

_SYMBOL_NAME = Struct("<I2xH16x")  # st_name, st_shndx
# Compilers name a section of one symbol HEAD.SYMBOL. Only these heads count: `.rela.text` is no section of
# a symbol called `text`, nor `.note.gnu.property` of one called `property`.
_SECTION_HEAD = re.compile(
    r"\.(l?text(\.(hot|unlikely|startup|exit|split))?|gcc_except_table|data\.rel(\.ro)?(\.local)?"
    r"|l?(data|rodata|bss)|t(data|bss)|rodata\.(cst\d+|str\d+\.\d+))"
)


def rename_symbols(obj: bytes, names: Mapping[str, str]) -> bytes:
    """Give every symbol whose name is a key of `names` the name it maps to; all at once, so swaps work.

    Sections named after such a symbol (`.text.OLD`, `.rela.text.OLD`, `.gcc_except_table.OLD`) follow.
    Costs 7 µs for an object of one small function from LLVM. Raises BadObject.
    """
    file = read_headers(obj, ET_REL)
    table = find_section(file, SHT_SYMTAB)
    if table is None:
        return obj
    strings = string_table(obj, file, table.link)
    find = strings.find
    out = bytearray(obj)
    end = len(strings)
    added = []
    defined = {}
    at, size = table.offset, SYMBOL.size
    for start, section in _SYMBOL_NAME.iter_unpack(contents(obj, table)):
        if start:
            name = strings[start : find(b"\0", start)].decode("utf-8", "surrogateescape")
            new = names.get(name)
            if new is not None:
                encoded = new.encode("utf-8", "surrogateescape") + b"\0"
                WORD.pack_into(out, at, end)
                added.append(encoded)
                end += len(encoded)
                if section != SHN_UNDEF:
                    defined[name] = new
        at += size
    if not added:
        return obj
    section_names = strings if file.names_index == table.link else string_table(obj, file, file.names_index)
    followers = {old: new for old, new in defined.items() if b"." + encode_name(old) in section_names}
    if not followers:
        _append_strings(out, file, table.link, strings, added)
    elif file.names_index == table.link:
        added += _rename_sections(out, file, section_names, end, followers)
        _append_strings(out, file, table.link, strings, added)
    else:
        _append_strings(out, file, table.link, strings, added)
        moved = _rename_sections(out, file, section_names, len(section_names), followers)
        _append_strings(out, file, file.names_index, section_names, moved)
    return bytes(out)


def cut_names(obj: bytes | mmap, names: Mapping[str, str]) -> list[int]:
    """Offsets in an object or image where a NUL makes its local symbols' names what `names` maps them to.

    Those have to be the beginnings of what they were. Local symbols may share a name, so this can undo what
    only kept them apart before they were local. Nothing grows or moves, which would be hard in an image.
    Linkers merge tails: a name stays where another symbol's would change with it, but not to what it shall.
    Raises BadObject.
    """
    file = read_headers(obj, ET_REL, ET_EXEC, ET_DYN)
    number = next((i for i, section in enumerate(file.sections) if section.type == SHT_SYMTAB), None)
    if number is None:
        return []
    table = file.sections[number]
    if table.link == file.names_index or any(
        section.link == table.link for i, section in enumerate(file.sections) if i != number
    ):
        return []  # more than names of symbols is in it
    strings = string_table(obj, file, table.link)
    find_end = Names(strings).end
    lengths = {encode_name(old)[:-1]: len(encode_name(new)) - 1 for old, new in names.items()}
    cuts: dict[int, set[int]] = defaultdict(set)  # by the end of the strings
    kept: dict[int, int] = {}  # by the same, the first byte of a name that stays
    for start, info, other, section, _, _ in SYMBOL.iter_unpack(contents(obj, table)):
        # GNU ld leaves hidden data global in images, where it is as good as local.
        hidden = file.type != ET_REL and other & 3 in (STV_HIDDEN, STV_INTERNAL)
        end = find_end(start)
        length = None
        if (hidden or info >> 4 == STB_LOCAL) and section != SHN_UNDEF:
            length = lengths.get(strings[start:end])
        if length is None:
            kept[end] = min(start, kept.get(end, start))
        else:
            cuts[end].add(start + length)
    offset = file.sections[table.link].offset
    single = ((end, cut) for end, (cut, *more) in cuts.items() if not more)
    return [offset + cut for end, cut in single if kept.get(end, end) > cut]


def _rename_sections(
    out: bytearray, file: Headers, strings: bytes, end: int, renamed: Mapping[str, str]
) -> list[bytes]:
    """Point the headers of sections named after a renamed symbol at new strings from offset `end` on."""
    added = []
    for number, section in enumerate(file.sections):
        name = string_at(strings, section.name)
        prefix = {SHT_RELA: ".rela", SHT_REL: ".rel"}.get(section.type, "")
        base = name[len(prefix) :]
        if _SECTION_HEAD.fullmatch(base):
            continue
        # The longest old name wins, so that `b` does not take the section of `a.b`.
        tails = [old for old in renamed if base.endswith("." + old)]
        old = max(tails, key=len, default="")
        if old and _SECTION_HEAD.fullmatch(base[: -len(old) - 1]):
            encoded = encode_name(name[: len(name) - len(old)] + renamed[old])
            WORD.pack_into(out, header_at(file, number) + SH_NAME, end)
            added.append(encoded)
            end += len(encoded)
    return added


def _append_strings(out: bytearray, file: Headers, number: int, old: bytes, added: list[bytes]) -> None:
    if added:
        table = old + b"".join(added)
        EXTENT.pack_into(out, header_at(file, number) + SH_OFFSET, len(out), len(table))
        out += table
