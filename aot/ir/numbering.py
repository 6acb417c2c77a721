"""Gives values and blocks of printed functions the numbers that LLVM would give them, in place of names."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from nativecache.aot.ir.module import Entity, Module, index_function
from nativecache.aot.ir.syntax import NAME, end_of_functions
from nativecache.linker import lazy_re as re

_NAMED_LOCAL: Final = re.compile(r"\n  %(?!\d)|\n(?=[^\d \n};!])|\A[^\n]* %[^\d\s,)][^\s,)]*[,)]", re.ASCII)
_TYPE_NAME: Final = re.compile(rf"^(%{NAME}) = type ", re.MULTILINE | re.ASCII)
_ANY_NAMED: Final = re.compile(r'\n(?:  %\D|(?:[A-Za-z_.$-][-\w$.]*|"[^"\n]*"):|define [^\n]* %\D)', re.ASCII)
_DEFINED_LOCAL: Final = re.compile(r'%(?!\d)(?:"[^"]*"|[-\w$.]+)(?= = |[,)])', re.ASCII)
_DEFINED_LABEL: Final = re.compile(r'^((?!\d)(?:"[^"]*"|[-\w$.]+)):', re.MULTILINE | re.ASCII)
_LOCAL: Final = re.compile(
    rf"""(?P<string>(?<!%)"[^"\n]*"(?!:))      # contents of strings stay
      |^(?P<label>{NAME}):[^\n]*$              # a block; its comment goes
      |^[ ]{{2}}(?P<value>%{NAME})(?=[ ]=[ ])  # an instruction with a result
      |(?P<use>%{NAME})""",
    re.MULTILINE | re.ASCII | re.VERBOSE,
)


def normalized(entity: Entity, module: Module) -> Entity:
    """The entity with numbers for local names, if it is a function that has any."""
    if entity.kind != "function" or not has_named_locals(entity.text):
        return entity
    if entity.token in module.address_taken or module.numbered_types:
        return entity  # others name its blocks; its types look like numbered values
    return number_locals(entity, module.types)


def has_named_locals(text: str) -> bool:
    """Whether a function, given by its text, names any value or block."""
    return _NAMED_LOCAL.search(text) is not None


def local_names(text: str) -> set[str]:
    """Names (`%x`) among which are those of all values and blocks in a printed module."""
    if not _ANY_NAMED.search(text, 0, end_of_functions(text)):
        return set()
    return set(_DEFINED_LOCAL.findall(text)) | {f"%{label}" for label in _DEFINED_LABEL.findall(text)}


def type_names(text: str) -> list[str]:
    """The names of the types that a printed module defines. LLVM prints all of them before any function."""
    end = text.find("\ndefine ")
    return _TYPE_NAME.findall(text, 0, end if end >= 0 else len(text))


def number_module(text: str) -> str:
    """A printed module with LLVM's own numbers for the names that passes gave to values and blocks."""
    if not _ANY_NAMED.search(text):
        return text
    types = frozenset(type_names(text))
    parts = []
    for part in text.split("\n}\n"):
        start = part.find("\ndefine ") + 1
        if start and has_named_locals(part[start:] + "\n"):
            part = part[:start] + number_locals(index_function(part[start:] + "\n}\n"), types).text[:-3]
        parts.append(part)
    return "\n}\n".join(parts)


def number_locals(entity: Entity, types: Container[str]) -> Entity:
    """The function with LLVM's own numbers in place of its value and block names.

    Names change the bitcode and nothing else. Arguments, then blocks and results in order of
    appearance share one sequence. `types`: the module's type names, spelled like values; the loader
    makes sure that no value shares one of them.
    """
    text = entity.text
    numbers: dict[str, str] = {}
    head, _, body = text.partition("\n")
    start = head.index(entity.token) + len(entity.token)
    for name in re.findall(rf" (%{NAME})(?=[,)])", head[start:], re.ASCII):
        if name not in types:
            numbers[name] = f"%{len(numbers)}"
    first = body.partition("\n")[0]
    if not re.match(rf"{NAME}:", first, re.ASCII):
        # The entry block without a label has the next number of those without a name.
        numbers[f"%{sum(name[1].isdigit() for name in numbers)}"] = f"%{len(numbers)}"
    for match in _LOCAL.finditer(body):
        if label := match["label"]:
            numbers[f"%{label}"] = f"%{len(numbers)}"
        elif value := match["value"]:
            numbers[value] = f"%{len(numbers)}"

    def spell(match: re.Match[str]) -> str:
        if label := match["label"]:
            return f"{numbers[f'%{label}'][1:]}:"
        if value := match["value"]:
            return f"  {numbers[value]}"
        if use := match["use"]:
            return numbers.get(use, use)
        return match[0]

    numbered = head[:start] + _LOCAL.sub(spell, head[start:]) + "\n" + _LOCAL.sub(spell, body)
    return Entity(
        token=entity.token,
        kind=entity.kind,
        defined=True,
        linkage=entity.linkage,
        visibility=entity.visibility,
        text=numbered,
        comdat=entity.comdat,
        unnamed_addr=entity.unnamed_addr,
        groups=entity.groups,
        has_asm=entity.has_asm,
        has_block_address=entity.has_block_address,
    )
