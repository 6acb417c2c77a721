"""Makes hidden symbols of a linked object local, as `ld -r` does not.

Local symbols stand before all others in a symbol table, so its entries change their order, and what refers to
symbols by number is renumbered. All tables are overwritten in place with one of the same size.
"""

from __future__ import annotations

from array import array
from collections.abc import Container

from nativecache.linker.elf import (
    EM_MIPS,
    ET_REL,
    EXTENT,
    SH_INFO,
    SH_OFFSET,
    SH_TYPE,
    SHN_COMMON,
    SHN_UNDEF,
    SHN_XINDEX,
    SHT_CREL,
    SHT_GROUP,
    SHT_NULL,
    SHT_REL,
    SHT_RELA,
    SHT_SYMTAB,
    SHT_SYMTAB_SHNDX,
    ST_INFO,
    ST_OTHER,
    STB_GLOBAL,
    STB_WEAK,
    STV_HIDDEN,
    STV_INTERNAL,
    SYMBOL,
    WORD,
    Headers,
    Names,
    contents,
    header_at,
    little_endian,
    read_headers,
    read_words,
    string_table,
)
from nativecache.linker.errors import BadObject

_SHT_LLVM_ADDRSIG = 0x6FFF4C03
_GRP_COMDAT = 1


def localize(obj: bytes, names: Container[str]) -> bytes:
    """Make the defined hidden and internal symbols whose name is in `names` local to the object.

    Meant for the output of `ld -r`, which keeps them global. What a COMDAT group defines or is called by
    stays global, because the linker may still drop that group for another copy. The address-significance
    table is dropped: it only serves `--icf=safe`, which then folds nothing of this object. Raises BadObject.
    """
    file = read_headers(obj, ET_REL)
    table_index = next((i for i, s in enumerate(file.sections) if s.type == SHT_SYMTAB), None)
    if table_index is None:
        return obj
    if file.machine == EM_MIPS or any(s.type == SHT_CREL for s in file.sections):
        raise BadObject("relocations in a form that cannot be renumbered (MIPS or CREL)")
    table = file.sections[table_index]
    entries = contents(obj, table)
    size = SYMBOL.size
    count = len(entries) // size
    if table.info > count:
        raise BadObject("more local symbols than symbols")
    chosen = _hidden_symbols(obj, file, table_index, names)
    if not chosen:
        return obj
    picked = set(chosen)
    order = [*range(table.info), *chosen, *(i for i in range(table.info, count) if i not in picked)]
    index = array("I", bytes(4 * count))
    for new, old in enumerate(order):
        index[old] = new

    out = bytearray(obj)
    reordered = bytearray().join([entries[size * i : size * (i + 1)] for i in order])
    for at in range(size * table.info, size * (table.info + len(chosen)), size):
        reordered[at + ST_INFO] &= 15  # binding: local
        reordered[at + ST_OTHER] &= ~3  # visibility: default
    out[table.offset : table.offset + table.size] = reordered
    WORD.pack_into(out, header_at(file, table_index) + SH_INFO, table.info + len(chosen))
    for number, section in enumerate(file.sections):
        if section.link == table_index:
            try:
                _renumber(out, file, number, order, index)
            except IndexError:
                raise BadObject("a reference to a symbol that does not exist") from None
    return bytes(out)


def _renumber(out: bytearray, file: Headers, number: int, order: list[int], index: array[int]) -> None:
    """Bring one section that refers to symbols by number in line with the new order of the table."""
    section = file.sections[number]
    header = header_at(file, number)
    if section.type in (SHT_RELA, SHT_REL):
        step = 6 if section.type == SHT_RELA else 4  # words in a relocation; the symbol is the fourth
        words = read_words(contents(out, section))
        words[3::step] = array("I", map(index.__getitem__, words[3::step]))
        out[section.offset : section.offset + section.size] = little_endian(words).tobytes()
    elif section.type == SHT_GROUP:
        WORD.pack_into(out, header + SH_INFO, index[section.info])
    elif section.type == SHT_SYMTAB_SHNDX:
        words = read_words(contents(out, section))
        words = array("I", map(words.__getitem__, order))
        out[section.offset : section.offset + section.size] = little_endian(words).tobytes()
    elif section.type == _SHT_LLVM_ADDRSIG:
        WORD.pack_into(out, header + SH_TYPE, SHT_NULL)
        EXTENT.pack_into(out, header + SH_OFFSET, section.offset, 0)


def _hidden_symbols(obj: bytes, file: Headers, table_index: int, names: Container[str]) -> list[int]:
    """Numbers of the symbols that `localize` takes, in table order."""
    table = file.sections[table_index]
    symbol_names = Names(string_table(obj, file, table.link))
    signatures, members = _comdats(obj, file, table_index)
    extended = next((s for s in file.sections if s.type == SHT_SYMTAB_SHNDX and s.link == table_index), None)
    real_sections = read_words(contents(obj, extended)) if extended else None
    chosen = []
    globals_ = memoryview(contents(obj, table))[SYMBOL.size * table.info :]
    for number, (start, info, other, section, _, _) in enumerate(SYMBOL.iter_unpack(globals_), table.info):
        if other & 3 not in (STV_HIDDEN, STV_INTERNAL) or section in (SHN_UNDEF, SHN_COMMON):
            continue
        if section == SHN_XINDEX:
            if real_sections is None or number >= len(real_sections):
                raise BadObject("extended section numbers without their table")
            section = real_sections[number]
        if section in members or number in signatures or info >> 4 not in (STB_GLOBAL, STB_WEAK):
            continue
        if symbol_names[start] in names:
            chosen.append(number)
    return chosen


def _comdats(obj: bytes, file: Headers, table_index: int) -> tuple[set[int], set[int]]:
    """Numbers of the symbols that name COMDAT groups, and of the sections in them."""
    signatures: set[int] = set()
    members: set[int] = set()
    for section in file.sections:
        if section.type == SHT_GROUP and section.link == table_index:
            words = read_words(contents(obj, section))
            if words and words[0] & _GRP_COMDAT:
                signatures.add(section.info)
                members.update(words[1:])
    return signatures, members
