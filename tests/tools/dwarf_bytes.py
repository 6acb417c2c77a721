"""Debug information written by hand, byte by byte, for what no compiler writes and what is damaged."""

import struct

from nativecache.linker.lines import encode

#: An encoded line of the first range, and its bytes.
A = encode(0, 10)
LINE = struct.pack("<I", A)


def elf(sections: dict[str, bytes], flags: int = 0) -> bytes:
    """A relocatable object of these sections, without symbols."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in sections) + b".shstrtab\0"
    contents = {**sections, ".shstrtab": names}
    body, headers = bytearray(64), bytearray(64)
    for name, content in contents.items():
        kind = 3 if name == ".shstrtab" else 1
        start = names.index(b"\0" + name.encode() + b"\0") + 1
        headers += struct.pack("<IIQQQQIIQQ", start, kind, flags, 0, len(body), len(content), 0, 0, 1, 0)
        body += content
    fields = (b"\x7fELF\2\1\1", 1, 62, 1, 0, 0, len(body), 0, 64, 0, 0, 64, len(contents) + 1, len(contents))
    body[:64] = struct.pack("<16sHHIQQQIHHHHHH", *fields)
    return bytes(body + headers)


def uleb(number: int) -> bytes:
    digits = [number >> shift & 0x7F | 0x80 for shift in range(0, max(number.bit_length(), 1), 7)]
    return bytes([*digits[:-1], digits[-1] & 0x7F])


def advance(delta: int, width: int = 4) -> bytes:
    """DW_LNS_advance_line with a number of `width` bytes."""
    digits = [delta >> 7 * i & 0x7F | 0x80 for i in range(width)]
    return bytes([3, *digits[:-1], digits[-1] & 0x7F])


# Of each form a value that would give away a reader who takes another size for it.
FORMS = {
    0x01: b"\3" * 8,
    0x03: b"\2\0\3\3",
    0x04: b"\2\0\0\0\3\3",
    0x05: b"\3" * 2,
    0x06: b"\3" * 4,
    0x07: b"\3" * 8,
    0x08: b"string\0",
    0x09: b"\x81\1" + b"\3" * 129,
    0x0A: b"\2\3\3",
    0x0B: b"\3",
    0x0C: b"\3",
    0x0D: b"\xff\xff\x7f",
    0x0E: b"\3" * 4,
    0x0F: b"\x83\3",
    0x10: b"\3" * 4,
    0x11: b"\3",
    0x12: b"\3" * 2,
    0x13: b"\3" * 4,
    0x14: b"\3" * 8,
    0x15: b"\x83\3",
    0x16: b"\x0f\x83\3",
    0x17: b"\3" * 4,
    0x18: b"\2\3\3",
    0x19: b"",
    0x1A: b"\x83\3",
    0x1B: b"\x83\3",
    0x1C: b"\3" * 4,
    0x1D: b"\3" * 4,
    0x1E: b"\3" * 16,
    0x1F: b"\3" * 4,
    0x20: b"\3" * 8,
    0x22: b"\x83\3",
    0x23: b"\x83\3",
    0x24: b"\3" * 8,
    0x25: b"\3",
    0x26: b"\3" * 2,
    0x27: b"\3" * 3,
    0x28: b"\3" * 4,
    0x29: b"\3",
    0x2A: b"\3" * 2,
    0x2B: b"\3" * 3,
    0x2C: b"\3" * 4,
    0x1F01: b"\x83\3",
    0x1F02: b"\x83\3",
    0x1F20: b"\3" * 4,
    0x1F21: b"\3" * 4,
    0x2001: b"\x83\3" + b"\3" * 4,
}


STANDARD = bytes([0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1])


def line_table(program: bytes, operands: bytes = STANDARD, names: bytes = b"\0\0", version: int = 4) -> bytes:
    shape = struct.pack("<BBBbBB", 1, 1, 1, -5, 14, len(operands) + 1) + operands + names
    if version < 4:
        shape = shape[:1] + shape[2:]
    sizes = b"\x08\0" if version == 5 else b""
    rest = struct.pack("<H", version) + sizes + struct.pack("<I", len(shape)) + shape + program
    return struct.pack("<I", len(rest)) + rest


def entry_object(
    attributes: bytes, values: bytes, version: int = 4, size: int = 8, code: bytes = b"\1"
) -> bytes:
    """One unit with one entry and the end of its children."""
    table = code + b"\x11\1" + attributes + b"\0\0\0"
    entries = code + values + b"\0"
    header = struct.pack("<HBBI", 5, 1, size, 0) if version == 5 else struct.pack("<HIB", version, 0, size)
    info = struct.pack("<I", len(header + entries)) + header + entries
    return elf({".debug_abbrev": table, ".debug_info": info})
