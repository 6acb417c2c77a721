"""Makes names fit to be shown: a terminal does as control characters in them say, and readers believe lines.

Names of files and symbols are any bytes but NUL. Imports nothing, for `cli/start.py` uses it.
"""


def shown(text: str) -> str:
    """One line, in which everything that is no printable character is written as an escape.

    Control characters become `\\n` or `\\x1b`, bytes that are no UTF-8 (as `os.fsdecode` has them) `\\xff`,
    and characters that only change how others look (bidirectional ones, unassigned ones) `\\u202e`.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def shown_lines(text: str) -> str:
    """What another tool says, escaped as by `shown`, but with its line ends, tabs and colours."""
    if text.isprintable():
        return text
    return "\n".join(map(_shown_line, text.replace("\r\n", "\n").split("\n")))


def error_line(text: str) -> str:
    """One line of ours about what went wrong."""
    return f"nativecache: error: {shown(text)}"


def warning_line(text: str) -> str:
    """One line of ours about what goes on and may not be meant."""
    return f"nativecache: warning: {shown(text)}"


def _shown_line(line: str) -> str:
    parts = line.split("\x1b[")
    made = [_with_tabs(parts[0])]
    for part in parts[1:]:
        numbers, end, rest = part.partition("m")
        colour = end and all(c in "0123456789;" for c in numbers)
        made.append(f"\x1b[{numbers}m{_with_tabs(rest)}" if colour else f"\\x1b[{_with_tabs(part)}")
    # clang ends a coloured line by erasing to its end.
    return "".join(made).replace("\\x1b[K", "\x1b[K")


def _with_tabs(text: str) -> str:
    return "\t".join(map(shown, text.split("\t")))


_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escape(character: str) -> str:
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
