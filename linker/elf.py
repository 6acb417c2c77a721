"""Reads ELF64 little-endian objects: headers, sections, symbols and relocations.

Numbers, layouts and their names are those of the System V gABI. What is read may be damaged, or made to be
read in vain: then BadObject is raised.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from mmap import mmap
from struct import Struct
from typing import Final, NamedTuple

from nativecache.linker.errors import BadObject

_FILE_HEADER = Struct("<16sHHIQQQIHHHHHH")
_SECTION = Struct("<IIQQQQIIQQ")
SYMBOL = Struct("<IBBHQQ")  # st_name, st_info, st_other, st_shndx, st_value, st_size
_RELOCATION = Struct("<QQq")  # r_offset, r_info, r_addend
WORD = Struct("<I")
EXTENT = Struct("<QQ")  # sh_offset, sh_size

# Offsets in a section header, and in a symbol.
SH_NAME, SH_TYPE, SH_OFFSET, SH_INFO = 0, 4, 24, 44
ST_INFO, ST_OTHER = 4, 5

ET_REL, ET_EXEC, ET_DYN = 1, 2, 3
EM_MIPS = 8
SHT_NULL, SHT_SYMTAB, SHT_RELA, SHT_NOBITS, SHT_REL, SHT_DYNSYM = 0, 2, 4, 8, 9, 11
SHT_GROUP, SHT_SYMTAB_SHNDX, SHT_CREL = 17, 18, 0x40000014
SHN_UNDEF, SHN_COMMON, SHN_XINDEX = 0, 0xFFF2, 0xFFFF
STB_LOCAL, STB_GLOBAL, STB_WEAK = 0, 1, 2
STT_GNU_IFUNC = 10
STV_INTERNAL, STV_HIDDEN = 1, 2

_ENTRY_SIZES = {
    SHT_SYMTAB: SYMBOL.size,
    SHT_DYNSYM: SYMBOL.size,
    SHT_RELA: _RELOCATION.size,
    SHT_REL: 16,
    SHT_GROUP: 4,
    SHT_SYMTAB_SHNDX: 4,
}


class Section(NamedTuple):
    """An ELF section header (Elf64_Shdr), field for field; `name` is an offset into the section names."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry_size: int


class Headers(NamedTuple):
    """What an ELF file's header (Elf64_Ehdr) says, and all section headers.

    `type` and `machine` are e_type and e_machine, `headers_at` the offset of the section headers (e_shoff),
    `names_index` the number of the section with the sections' names (e_shstrndx).
    """

    type: int
    machine: int
    headers_at: int
    names_index: int
    sections: list[Section]


def linkage(obj: bytes) -> tuple[list[str], list[str]]:
    """Names that an object or a shared library defines for others, and names it needs from others.

    Local symbols are left out; weak ones count like any other. Raises BadObject.
    """
    found = all_linkage(obj)
    return found.defined, found.undefined


class Linkage(NamedTuple):
    """Names that an object or a shared library defines for others, and names it needs, as `linkage` has them.

    `common`: whether some of what is defined is common, for a linker takes the largest of a name; `chosen`:
    whether an object defines functions, if only for itself, that are chosen at run time (ifunc).
    """

    defined: list[str]
    undefined: list[str]
    common: bool
    chosen: bool


def all_linkage(obj: bytes) -> Linkage:
    """What an object or a shared library defines for others, and needs. Raises BadObject."""
    return _linkage(obj, read_headers(obj, ET_REL, ET_EXEC, ET_DYN))  # an image for --just-symbols


def _linkage(obj: bytes, file: Headers) -> Linkage:
    table = SHT_DYNSYM if file.type == ET_DYN else SHT_SYMTAB
    defined: list[str] = []
    undefined: list[str] = []
    common = chosen = False
    for name, info, _, section in symbol_entries(obj, file, table):
        chosen |= info & 15 == STT_GNU_IFUNC
        if info >> 4 != STB_LOCAL:
            (undefined if section == SHN_UNDEF else defined).append(name)
            common |= section == SHN_COMMON
    return Linkage(defined, undefined, common, chosen and file.type == ET_REL)


def check_object(obj: bytes) -> tuple[list[str], list[str]]:
    """Names that a relocatable object defines and needs, as `linkage` has them, after a look at all sections.

    Raises BadObject where a section reaches past the end of the file, or where names are missing.
    """
    file = read_headers(obj, ET_REL)
    end = len(obj)
    for section in file.sections:
        if section.offset + section.size > end and section.type not in (SHT_NULL, SHT_NOBITS):
            raise BadObject("a section reaches past the end of the file")
    names = string_table(obj, file, file.names_index)
    if any(section.name >= len(names) for section in file.sections):
        raise BadObject("a section's name outside of its string table")
    found = _linkage(obj, file)
    return found.defined, found.undefined


def symbol_entries(obj: bytes, file: Headers, kind: int) -> Iterator[tuple[str, int, int, int]]:
    """Name, st_info, st_other and st_shndx of each symbol after the null entry, in the first table of a type.

    Raises BadObject.
    """
    table = find_section(file, kind)
    if table is None:
        return
    names = Names(string_table(obj, file, table.link))
    entries = memoryview(contents(obj, table))[SYMBOL.size :]
    for start, info, other, section, _, _ in SYMBOL.iter_unpack(entries):
        yield names[start], info, other, section


def read_headers(obj: bytes | mmap, *types: int) -> Headers:
    """The section headers of an ELF file of one of the given types. Raises BadObject."""
    if obj[:4] != b"\x7fELF":
        raise BadObject("LLVM bitcode" if obj[:4] == b"BC\xc0\xde" else "not an ELF object")
    if obj[4:6] != b"\x02\x01":
        raise BadObject("not a 64-bit little-endian ELF object")
    if len(obj) < _FILE_HEADER.size:
        raise BadObject("truncated ELF header")
    fields = _FILE_HEADER.unpack_from(obj)
    kind, machine, headers_at = fields[1], fields[2], fields[6]
    entry_size, count, names_index = fields[11:14]
    if kind not in types:
        raise BadObject(f"ELF file of type {kind} where {' or '.join(map(str, types))} is needed")
    if not headers_at or entry_size != _SECTION.size or headers_at + _SECTION.size > len(obj):
        raise BadObject("ELF file without section headers")
    first = Section._make(_SECTION.unpack_from(obj, headers_at))
    count = count or first.size  # more than 65,279 sections: the null section holds the numbers
    names_index = first.link if names_index == SHN_XINDEX else names_index
    end = headers_at + _SECTION.size * count
    if end > len(obj):
        raise BadObject("section headers reach past the end of the file")
    sections = list(map(Section._make, _SECTION.iter_unpack(obj[headers_at:end])))
    return Headers(kind, machine, headers_at, names_index, sections)


def find_section(file: Headers, kind: int) -> Section | None:
    """The first section of a type (SHT_…), or None."""
    for section in file.sections:
        if section.type == kind:
            return section
    return None


def relocated(obj: bytes, file: Headers, number: int) -> dict[int, tuple[int, int]]:
    """What the relocations of section `number` point at: offset → (section, offset in it). Raises BadObject.

    For absolute relocations with an addend of their own (RELA). Undefined symbols are left out.
    """
    targets: dict[int, tuple[int, int]] = {}
    for section in file.sections:
        if section.info == number and section.type in (SHT_REL, SHT_CREL):
            raise BadObject("relocations in a form that is not read (REL or CREL)")
        if section.info != number or section.type != SHT_RELA:
            continue
        if section.link >= len(file.sections) or file.sections[section.link].type != SHT_SYMTAB:
            raise BadObject("relocations without a symbol table")
        entries = list(SYMBOL.iter_unpack(contents(obj, file.sections[section.link])))
        for at, info, addend in _RELOCATION.iter_unpack(contents(obj, section)):
            if info >> 32 >= len(entries):
                raise BadObject("a reference to a symbol that does not exist")
            _, _, _, home, value, _ = entries[info >> 32]
            if home != SHN_UNDEF:
                targets[at] = home, value + addend
    return targets


def contents(obj: bytes | bytearray | mmap, section: Section) -> bytes:
    """The bytes of a section. Raises BadObject if it reaches past the end of the file, or into an entry."""
    end = section.offset + section.size
    if end > len(obj):
        raise BadObject("a section reaches past the end of the file")
    if section.size % _ENTRY_SIZES.get(section.type, 1):
        raise BadObject("a section holds a part of an entry")
    return bytes(obj[section.offset : end])


def string_table(obj: bytes | mmap, file: Headers, number: int) -> bytes:
    """The bytes of section `number`, a string table: names that each end with NUL. Raises BadObject."""
    if number >= len(file.sections):
        raise BadObject("a string table is missing")
    strings = contents(obj, file.sections[number])
    if strings[-1:] != b"\0":
        raise BadObject("a string table does not end with NUL")
    return strings


class Names(dict[int, str]):
    """The names in a string table, by where they start, each read once.

    Linkers and compilers merge tails, so that names may overlap; still all of them together are hardly longer
    than the table. A table made to be read in vain has thousands of names that are nearly all of it.
    """

    def __init__(self, strings: bytes) -> None:
        super().__init__()
        self._strings = strings
        self._left = _OVERLAP * len(strings) + _SHORT

    def __missing__(self, start: int) -> str:
        name = self[start] = self._strings[start : self.end(start)].decode("utf-8", "surrogateescape")
        return name

    def end(self, start: int) -> int:
        """Where the NUL behind a name is. Raises BadObject."""
        end = self._strings.find(b"\0", start)
        if end < 0:
            raise BadObject("a name outside of its string table")
        self._left -= end - start
        if self._left < 0:
            raise BadObject("names that are far longer together than the table they are in")
        return end


#: The most that is read of a string table, as a multiple of its length, for each name starts at a byte of its
#: own and merged tails are short; and what a small table may have in any case.
_OVERLAP: Final = 16
_SHORT: Final = 1 << 20


def string_at(strings: bytes, start: int) -> str:
    """The name at an offset in a string table. Bytes that are no UTF-8 become surrogates."""
    return strings[start : strings.find(b"\0", start)].decode("utf-8", "surrogateescape")


def encode_name(name: str) -> bytes:
    """A name as it stands in a string table, with its NUL."""
    return name.encode("utf-8", "surrogateescape") + b"\0"


def header_at(file: Headers, number: int) -> int:
    """The offset of the header of section `number` in the file."""
    return file.headers_at + _SECTION.size * number


def read_words(content: bytes) -> array[int]:
    """Content as numbers of 32 bits."""
    return little_endian(array("I", content))


def little_endian(words: array[int]) -> array[int]:
    """Numbers with the bytes swapped in place, on a machine that is not little-endian."""
    if sys.byteorder == "big":
        words.byteswap()
    return words
