"""What keys are made from: the recipe of an object's key, and the fields that several recipes share."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Final

from nativecache.cache.dependencies import digest_file
from nativecache.cache.entry import JSON, Entry
from nativecache.cache.files import read_plain
from nativecache.cache.own_code import own_code
from nativecache.cache.recipe import Recipe
from nativecache.cache.shape import Malformed
from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass, fields

#: Raised whenever the way from bitcode to entry changes.
SCHEMA: Final = 5


@dataclass(frozen=True, slots=True)
class Compiler:
    """Which LLVM makes the objects.

    `library` tells apart builds of one version: a build ID, or the size of llvmlite's file.
    """

    llvm: str
    llvmlite: str  # empty where llvmlite has no part in it
    library: str


@dataclass(frozen=True, slots=True)
class Options:
    """All that code generation sees besides the unit's bitcode."""

    triple: str
    cpu: str
    features: str
    level: int  # 0..3, of optimisation and code generation
    optimize: bool  # False: code generation only
    relocation: str  # static, pic, dynamicnopic
    code_model: str  # default, tiny, small, kernel, medium, large
    output: str = "object"  # object, assembly, bitcode
    #: Whether lines are encoded, so that places in the object are to be found and kept with it.
    relative: bool = False
    #: Whether loops are unrolled; None as the level has it.
    unroll: bool | None = None


def unit_recipe(compiler: Compiler, options: Options, bitcode: bytes, files: bytes = b"") -> Recipe:
    """All that the object of a unit depends on. `files` is what `assembler_reads` found in the unit's IR."""
    named = [("files", files.decode("utf-8", "surrogateescape"))] if files else []
    return Recipe(
        ("schema", str(SCHEMA)),
        *compiler_fields(compiler),
        *option_fields(options),
        ("bitcode", bitcode),
        *named,
    )


def compute_key(compiler: Compiler, options: Options, bitcode: bytes, files: bytes = b"") -> str:
    """The key of a unit's object: the SHA-256 of its recipe in hexadecimal."""
    return unit_recipe(compiler, options, bitcode, files).key()


def explain_key(compiler: Compiler, options: Options, bitcode: bytes, files: bytes = b"") -> str:
    """The recipe of a unit's key for people: one line per field, the bitcode by its digest."""
    return unit_recipe(compiler, options, bitcode, files).text()


def record_recipe(kind: str, compiler: Compiler, options: Options, label: str) -> Recipe:
    """The recipe of a record of this very code about one input or output, by `label`, under some options.

    Records of different kinds never share a key.
    """
    return Recipe(*own_record(kind), *compiler_fields(compiler), *option_fields(options), ("label", label))


def own_record(kind: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """The first fields of every key whose entry only this very code reads and writes."""
    return ("kind", kind), ("code", own_code())


def compiler_fields(compiler: Compiler) -> Iterator[tuple[str, str]]:
    """The fields of a recipe that tell one LLVM from another."""
    return ((field.name, getattr(compiler, field.name)) for field in fields(compiler))


def option_fields(options: Options) -> Iterator[tuple[str, str]]:
    """The fields of a recipe that say how code is generated, one for each field of `Options`."""
    return ((field.name, str(getattr(options, field.name))) for field in fields(options))


#: The directives, or the beginning of what may become one where a macro of the assembler puts it together.
_ASSEMBLER_READS: Final = re.compile(
    r"\.(incbin|include)\b(?:[ \t]*\\22(.*?)\\22)?"
    r"|\.(?:in?|inc(?:bi?|lu?|lud)?)?(?:\\\\|\\5C|&|\$\()|\.altmacro\b",
    re.IGNORECASE,
)
#: What in an included file may have the assembler read further ones.
_READS_ON: Final = re.compile(rb"\.inc|\\|\.altmacro", re.IGNORECASE)


def assembler_reads(text: str) -> bytes:
    """Names and digests of the files that the assembler reads for a unit's IR, or nothing if there are none.

    What has no plain name is a file like no other: that unit is compiled every time.
    """
    found = [f"{name} {digest or os.urandom(16).hex()}" for name, digest in _assembler_files(text)]
    return "\n".join(found).encode("utf-8", "surrogateescape")


def assembler_searches(text: str) -> bool:
    """Whether the assembler reads files whose names do not tell where they are, or what they read in turn.

    clang has it look in the folders for headers as well.
    """
    return not all(digest for _, digest in _assembler_files(text))


def _assembler_files(text: str) -> Iterator[tuple[str, str]]:
    """The files that the assembler reads for IR, by name and digest; what is not certain has none."""
    for match in _ASSEMBLER_READS.finditer(text):
        if " asm " not in text[text.rfind("\n", 0, match.start()) + 1 : match.start()]:
            continue  # in a string of the program
        name = match[2] or ""
        digest = digest_file(name) if name and "\\" not in name else ""
        if digest and match[1].lower() == "include" and _reads_on(name):
            digest = ""
        yield name, digest


def _reads_on(path: str) -> bool:
    """Whether a file that the assembler includes may have it read others."""
    try:
        return _READS_ON.search(read_plain(path)[0]) is not None
    except OSError:
        return True


def form_of(kind: str) -> dict[str, JSON]:
    """The metadata of an entry that only this very code reads."""
    return {"form": f"{kind} {own_code()[:16]}"}


def sealed_form_of(kind: str, key: str, payload: bytes) -> dict[str, JSON]:
    """The same with a digest: of what would give another image without a word if parts of it differed."""
    return {**form_of(kind), "digest": _seal(key, payload)}


def sealed(kind: str, key: str, payload: bytes, level: int | None = None) -> Entry:
    """An entry in a sealed form; `level` as in Entry."""
    return Entry(key, payload, sealed_form_of(kind, key, payload), level)


def check_sealed(entry: Entry) -> None:
    """Raises Malformed for an entry that is not what was kept under its key in a sealed form."""
    if entry.meta.get("digest") != _seal(entry.key, entry.payload):
        raise Malformed("not what was kept under this key")


def _seal(key: str, payload: bytes) -> str:
    return hashlib.sha256(key.encode() + payload).hexdigest()


#: Bytes of a digest: an accident within one cache has a chance of 2^-64 at four billion of them.
DIGEST: Final = 16


def digest(*digests: bytes) -> bytes:
    """The digest, of `DIGEST` bytes, of some digests."""
    return hashlib.sha256(b"".join(digests)).digest()[:DIGEST]


def text_digest(text: str) -> bytes:
    """The digest, of `DIGEST` bytes, of a piece of IR, one byte per character."""
    return bytes_digest(text.encode("latin-1"))


def bytes_digest(data: bytes | memoryview) -> bytes:
    """The same of its bytes."""
    return hashlib.sha256(data).digest()[:DIGEST]


def value_digest(value: object) -> bytes:
    """The digest, of `DIGEST` bytes, of a value of plain types, by its `repr`."""
    return hashlib.sha256(repr(value).encode("utf-8", "surrogateescape")).digest()[:DIGEST]
