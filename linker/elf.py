"""Reads and rewrites the symbol table of ELF64 little-endian objects.

Nothing is moved: a changed table is appended to the file or overwritten in place with one of the same
size, so every other offset stays valid. A string table is never edited in place, because LLVM shares one
between symbols and sections and merges tails (`nc.0` may be the end of `.rela.text.nc.0`): the old bytes
stay as a prefix and the new names follow. Numbers and layouts are those of the System V gABI.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from mmap import mmap
from struct import Struct
from typing import Final, NamedTuple

from nativecache.linker.errors import BadObject

_FILE_HEADER = Struct("<16sHHIQQQIHHHHHH")
_SECTION = Struct("<IIQQQQIIQQ")
_SYMBOL = Struct("<IBBHQQ")
_SYMBOL_NAME = Struct("<I2xH16x")  # st_name, st_shndx
_RELOCATION = Struct("<QQq")  # r_offset, r_info, r_addend
_WORD = Struct("<I")
_EXTENT = Struct("<QQ")  # sh_offset, sh_size: at 24 in a section header

ET_REL, _ET_EXEC, _ET_DYN = 1, 2, 3
_EM_MIPS = 8
_SHT_NULL, _SHT_SYMTAB, _SHT_RELA, _SHT_NOBITS, _SHT_REL, _SHT_DYNSYM = 0, 2, 4, 8, 9, 11
_SHT_GROUP, _SHT_SYMTAB_SHNDX, _SHT_CREL, _SHT_LLVM_ADDRSIG = 17, 18, 0x40000014, 0x6FFF4C03
_SHN_UNDEF, _SHN_COMMON, _SHN_XINDEX = 0, 0xFFF2, 0xFFFF
_GRP_COMDAT = 1
_STB_LOCAL, _STB_GLOBAL, _STB_WEAK = 0, 1, 2
_STV_INTERNAL, _STV_HIDDEN = 1, 2

_ENTRY_SIZES = {
    _SHT_SYMTAB: 24,
    _SHT_DYNSYM: 24,
    _SHT_RELA: 24,
    _SHT_REL: 16,
    _SHT_GROUP: 4,
    _SHT_SYMTAB_SHNDX: 4,
}
_BINDINGS: dict[int, str] = {0: "local", 1: "global", 2: "weak"}
_KINDS = {0: "notype", 1: "object", 2: "func", 3: "section", 4: "file", 5: "common", 6: "tls", 10: "ifunc"}
_VISIBILITIES = ("default", "internal", "hidden", "protected")

# Compilers name a section of one symbol HEAD.SYMBOL. Only these heads count: `.rela.text` is no section of
# a symbol called `text`, nor `.note.gnu.property` of one called `property`.
_SECTION_HEAD = re.compile(
    r"\.(l?text(\.(hot|unlikely|startup|exit|split))?|gcc_except_table|data\.rel(\.ro)?(\.local)?"
    r"|l?(data|rodata|bss)|t(data|bss)|rodata\.(cst\d+|str\d+\.\d+))"
)


@dataclass(frozen=True, slots=True)
class Symbol:
    """One entry of a symbol table.

    `binding` is 'local', 'global', 'weak' or another number; `kind` is 'func', 'object', 'tls', 'notype',
    'section', 'file', 'common', 'ifunc' or another number; `visibility` is 'default', 'internal',
    'hidden' or 'protected'. A common symbol counts as defined.
    """

    name: str
    binding: str | int
    kind: str | int
    visibility: str
    defined: bool
    common: bool


class Section(NamedTuple):
    """A section header, field for field; `name` is an offset into the section names."""

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
    """What the file header says, and all section headers."""

    type: int
    machine: int
    headers_at: int
    names_index: int
    sections: list[Section]


def symbols(obj: bytes) -> tuple[Symbol, ...]:
    """All symbols of a relocatable object in table order, without the null entry. Raises BadObject."""
    return tuple(
        Symbol(
            name,
            _BINDINGS.get(info >> 4, info >> 4),
            _KINDS.get(info & 15, info & 15),
            _VISIBILITIES[other & 3],
            section != _SHN_UNDEF,
            section == _SHN_COMMON,
        )
        for name, info, other, section in _entries(obj, read_headers(obj, ET_REL), _SHT_SYMTAB)
    )


def linkage(obj: bytes) -> tuple[list[str], list[str]]:
    """Names that an object or a shared library defines for others, and names it needs from others.

    Local symbols are left out; weak ones count like any other. Raises BadObject.
    """
    return all_linkage(obj)[:2]


def all_linkage(obj: bytes) -> tuple[list[str], list[str], bool]:
    """As `linkage`, and whether some of what is defined is common: the linker takes the largest of a name."""
    return _linkage(obj, read_headers(obj, ET_REL, _ET_EXEC, _ET_DYN))  # an image for --just-symbols


def _linkage(obj: bytes, file: Headers) -> tuple[list[str], list[str], bool]:
    table = _SHT_DYNSYM if file.type == _ET_DYN else _SHT_SYMTAB
    defined: list[str] = []
    undefined: list[str] = []
    common = False
    for name, info, _, section in _entries(obj, file, table):
        if info >> 4 != _STB_LOCAL:
            (undefined if section == _SHN_UNDEF else defined).append(name)
            common |= section == _SHN_COMMON
    return defined, undefined, common


def check_object(obj: bytes) -> tuple[list[str], list[str]]:
    """What `linkage` tells of a relocatable object, all of whose sections are looked at.

    Raises BadObject where one reaches past the end of the file, or where names are missing.
    """
    file = read_headers(obj, ET_REL)
    end = len(obj)
    for section in file.sections:
        if section.offset + section.size > end and section.type not in (_SHT_NULL, _SHT_NOBITS):
            raise BadObject("a section reaches past the end of the file")
    names = string_table(obj, file, file.names_index)
    if any(section.name >= len(names) for section in file.sections):
        raise BadObject("a section's name outside of its string table")
    return _linkage(obj, file)[:2]


def rename_symbols(obj: bytes, names: Mapping[str, str]) -> bytes:
    """Give every symbol whose name is a key of `names` the name it maps to; all at once, so swaps work.

    Sections named after such a symbol (`.text.OLD`, `.rela.text.OLD`, `.gcc_except_table.OLD`) follow.
    Costs 7 µs for an object of one small function from LLVM. Raises BadObject.
    """
    file = read_headers(obj, ET_REL)
    table = _only(file, _SHT_SYMTAB)
    if table is None:
        return obj
    strings = string_table(obj, file, table.link)
    find = strings.find
    out = bytearray(obj)
    end = len(strings)
    added = []
    defined = {}
    at = table.offset
    for start, section in _SYMBOL_NAME.iter_unpack(contents(obj, table)):
        if start:
            name = strings[start : find(b"\0", start)].decode("utf-8", "surrogateescape")
            new = names.get(name)
            if new is not None:
                encoded = new.encode("utf-8", "surrogateescape") + b"\0"
                _WORD.pack_into(out, at, end)
                added.append(encoded)
                end += len(encoded)
                if section != _SHN_UNDEF:
                    defined[name] = new
        at += 24
    if not added:
        return obj
    section_names = strings if file.names_index == table.link else string_table(obj, file, file.names_index)
    followers = {old: new for old, new in defined.items() if b"." + _encode(old) in section_names}
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


def localize(obj: bytes, names: Container[str]) -> bytes:
    """Make the defined hidden and internal symbols whose name is in `names` local to the object.

    Meant for the output of `ld -r`, which keeps them global. What a COMDAT group defines or is called by
    stays global, because the linker may still drop that group for another copy. The address-significance
    table is dropped: it only serves `--icf=safe`, which then folds nothing of this object. Raises BadObject.
    """
    file = read_headers(obj, ET_REL)
    table_index = next((i for i, s in enumerate(file.sections) if s.type == _SHT_SYMTAB), None)
    if table_index is None:
        return obj
    if file.machine == _EM_MIPS or any(s.type == _SHT_CREL for s in file.sections):
        raise BadObject("relocations in a form that cannot be renumbered (MIPS or CREL)")
    table = file.sections[table_index]
    entries = contents(obj, table)
    count = len(entries) // 24
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
    reordered = bytearray().join([entries[24 * i : 24 * i + 24] for i in order])
    for at in range(24 * table.info, 24 * (table.info + len(chosen)), 24):
        reordered[at + 4] &= 15  # binding: local
        reordered[at + 5] &= ~3  # visibility: default
    out[table.offset : table.offset + table.size] = reordered
    _WORD.pack_into(out, _header_at(file, table_index) + 44, table.info + len(chosen))
    for number, section in enumerate(file.sections):
        if section.link == table_index:
            try:
                _renumber(out, file, number, order, index)
            except IndexError:
                raise BadObject("a reference to a symbol that does not exist") from None
    return bytes(out)


def cut_names(obj: bytes | mmap, names: Mapping[str, str]) -> list[int]:
    """Offsets in an object or image where a NUL makes its local symbols' names what `names` maps them to.

    Those have to be the beginnings of what they were. Local symbols may share a name, so this can undo what
    only kept them apart before they were local. Nothing grows or moves, which would be hard in an image.
    Linkers merge tails: a name stays where another symbol's would change with it, but not to what it shall.
    Raises BadObject.
    """
    file = read_headers(obj, ET_REL, _ET_EXEC, _ET_DYN)
    number = next((i for i, section in enumerate(file.sections) if section.type == _SHT_SYMTAB), None)
    if number is None:
        return []
    table = file.sections[number]
    if table.link == file.names_index or any(
        section.link == table.link for i, section in enumerate(file.sections) if i != number
    ):
        return []  # more than names of symbols is in it
    strings = string_table(obj, file, table.link)
    find_end = _Names(strings).end
    lengths = {_encode(old)[:-1]: len(_encode(new)) - 1 for old, new in names.items()}
    cuts: dict[int, set[int]] = defaultdict(set)  # by the end of the strings
    kept: dict[int, int] = {}  # by the same, the first byte of a name that stays
    for start, info, other, section, _, _ in _SYMBOL.iter_unpack(contents(obj, table)):
        # GNU ld leaves hidden data global in images, where it is as good as local.
        hidden = file.type != ET_REL and other & 3 in (_STV_HIDDEN, _STV_INTERNAL)
        end = find_end(start)
        length = None
        if (hidden or info >> 4 == _STB_LOCAL) and section != _SHN_UNDEF:
            length = lengths.get(strings[start:end])
        if length is None:
            kept[end] = min(start, kept.get(end, start))
        else:
            cuts[end].add(start + length)
    offset = file.sections[table.link].offset
    single = ((end, cut) for end, (cut, *more) in cuts.items() if not more)
    return [offset + cut for end, cut in single if kept.get(end, end) > cut]


def _renumber(out: bytearray, file: Headers, number: int, order: list[int], index: array[int]) -> None:
    """Bring one section that refers to symbols by number in line with the new order of the table."""
    section = file.sections[number]
    header = _header_at(file, number)
    if section.type in (_SHT_RELA, _SHT_REL):
        step = 6 if section.type == _SHT_RELA else 4  # words in a relocation; the symbol is the fourth
        words = _words(contents(out, section))
        words[3::step] = array("I", map(index.__getitem__, words[3::step]))
        out[section.offset : section.offset + section.size] = _little_endian(words).tobytes()
    elif section.type == _SHT_GROUP:
        _WORD.pack_into(out, header + 44, index[section.info])
    elif section.type == _SHT_SYMTAB_SHNDX:
        words = _words(contents(out, section))
        words = array("I", map(words.__getitem__, order))
        out[section.offset : section.offset + section.size] = _little_endian(words).tobytes()
    elif section.type == _SHT_LLVM_ADDRSIG:
        _WORD.pack_into(out, header + 4, _SHT_NULL)
        _EXTENT.pack_into(out, header + 24, section.offset, 0)


def _hidden_symbols(obj: bytes, file: Headers, table_index: int, names: Container[str]) -> list[int]:
    """Numbers of the symbols that `localize` takes, in table order."""
    table = file.sections[table_index]
    symbol_names = _Names(string_table(obj, file, table.link))
    signatures, members = _comdats(obj, file, table_index)
    extended = next((s for s in file.sections if s.type == _SHT_SYMTAB_SHNDX and s.link == table_index), None)
    real_sections = _words(contents(obj, extended)) if extended else None
    chosen = []
    globals_ = memoryview(contents(obj, table))[24 * table.info :]
    for number, (start, info, other, section, _, _) in enumerate(_SYMBOL.iter_unpack(globals_), table.info):
        if other & 3 not in (_STV_HIDDEN, _STV_INTERNAL) or section in (_SHN_UNDEF, _SHN_COMMON):
            continue
        if section == _SHN_XINDEX:
            if real_sections is None or number >= len(real_sections):
                raise BadObject("extended section numbers without their table")
            section = real_sections[number]
        if section in members or number in signatures or info >> 4 not in (_STB_GLOBAL, _STB_WEAK):
            continue
        if symbol_names[start] in names:
            chosen.append(number)
    return chosen


def _comdats(obj: bytes, file: Headers, table_index: int) -> tuple[set[int], set[int]]:
    """Numbers of the symbols that name COMDAT groups, and of the sections in them."""
    signatures: set[int] = set()
    members: set[int] = set()
    for section in file.sections:
        if section.type == _SHT_GROUP and section.link == table_index:
            words = _words(contents(obj, section))
            if words and words[0] & _GRP_COMDAT:
                signatures.add(section.info)
                members.update(words[1:])
    return signatures, members


def _rename_sections(
    out: bytearray, file: Headers, strings: bytes, end: int, renamed: Mapping[str, str]
) -> list[bytes]:
    """Point the headers of sections named after a renamed symbol at new strings from offset `end` on."""
    added = []
    for number, section in enumerate(file.sections):
        name = string_at(strings, section.name)
        prefix = {_SHT_RELA: ".rela", _SHT_REL: ".rel"}.get(section.type, "")
        base = name[len(prefix) :]
        if _SECTION_HEAD.fullmatch(base):
            continue
        # The longest old name wins, so that `b` does not take the section of `a.b`.
        tails = [old for old in renamed if base.endswith("." + old)]
        old = max(tails, key=len, default="")
        if old and _SECTION_HEAD.fullmatch(base[: -len(old) - 1]):
            encoded = _encode(name[: len(name) - len(old)] + renamed[old])
            _WORD.pack_into(out, _header_at(file, number), end)
            added.append(encoded)
            end += len(encoded)
    return added


def _append_strings(out: bytearray, file: Headers, number: int, old: bytes, added: list[bytes]) -> None:
    if added:
        table = old + b"".join(added)
        _EXTENT.pack_into(out, _header_at(file, number) + 24, len(out), len(table))
        out += table


def _entries(obj: bytes, file: Headers, kind: int) -> Iterator[tuple[str, int, int, int]]:
    """(name, st_info, st_other, st_shndx) of each symbol after the null entry."""
    table = _only(file, kind)
    if table is None:
        return
    names = _Names(string_table(obj, file, table.link))
    for start, info, other, section, _, _ in _SYMBOL.iter_unpack(memoryview(contents(obj, table))[24:]):
        yield names[start], info, other, section


def read_headers(obj: bytes | mmap, *types: int) -> Headers:
    """The section headers of an ELF file of one of the given types. Raises BadObject."""
    if obj[:4] != b"\x7fELF":
        raise BadObject("LLVM bitcode" if obj[:4] == b"BC\xc0\xde" else "not an ELF object")
    if obj[4:6] != b"\x02\x01":
        raise BadObject("not a 64-bit little-endian ELF object")
    if len(obj) < 64:
        raise BadObject("truncated ELF header")
    fields = _FILE_HEADER.unpack_from(obj)
    kind, machine, headers_at = fields[1], fields[2], fields[6]
    entry_size, count, names_index = fields[11:14]
    if kind not in types:
        raise BadObject(f"ELF file of type {kind} where {' or '.join(map(str, types))} is needed")
    if not headers_at or entry_size != 64 or headers_at + 64 > len(obj):
        raise BadObject("ELF file without section headers")
    first = Section._make(_SECTION.unpack_from(obj, headers_at))
    count = count or first.size  # more than 65,279 sections: the null section holds the numbers
    names_index = first.link if names_index == _SHN_XINDEX else names_index
    if headers_at + 64 * count > len(obj):
        raise BadObject("section headers reach past the end of the file")
    sections = list(map(Section._make, _SECTION.iter_unpack(obj[headers_at : headers_at + 64 * count])))
    return Headers(kind, machine, headers_at, names_index, sections)


def _only(file: Headers, kind: int) -> Section | None:
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
        if section.info == number and section.type in (_SHT_REL, _SHT_CREL):
            raise BadObject("relocations in a form that is not read (REL or CREL)")
        if section.info != number or section.type != _SHT_RELA:
            continue
        if section.link >= len(file.sections) or file.sections[section.link].type != _SHT_SYMTAB:
            raise BadObject("relocations without a symbol table")
        entries = list(_SYMBOL.iter_unpack(contents(obj, file.sections[section.link])))
        for at, info, addend in _RELOCATION.iter_unpack(contents(obj, section)):
            if info >> 32 >= len(entries):
                raise BadObject("a reference to a symbol that does not exist")
            _, _, _, home, value, _ = entries[info >> 32]
            if home != _SHN_UNDEF:
                targets[at] = home, value + addend
    return targets


def contents(obj: bytes | bytearray | mmap, section: Section) -> bytes:
    end = section.offset + section.size
    if end > len(obj):
        raise BadObject("a section reaches past the end of the file")
    if section.size % _ENTRY_SIZES.get(section.type, 1):
        raise BadObject("a section holds a part of an entry")
    return bytes(obj[section.offset : end])


def string_table(obj: bytes | mmap, file: Headers, number: int) -> bytes:
    if number >= len(file.sections):
        raise BadObject("a string table is missing")
    strings = contents(obj, file.sections[number])
    if strings[-1:] != b"\0":
        raise BadObject("a string table does not end with NUL")
    return strings


class _Names(dict[int, str]):
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
    return strings[start : strings.find(b"\0", start)].decode("utf-8", "surrogateescape")


def _encode(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape") + b"\0"


def _header_at(file: Headers, number: int) -> int:
    return file.headers_at + 64 * number


def _words(content: bytes) -> array[int]:
    return _little_endian(array("I", content))


def _little_endian(words: array[int]) -> array[int]:
    if sys.byteorder == "big":
        words.byteswap()
    return words
