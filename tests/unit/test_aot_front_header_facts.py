"""What was found in a header is found again under the digest of its content, and under no other."""

import hashlib
from pathlib import Path

import pytest

from nativecache.aot.front.header_facts import HeaderFacts
from nativecache.aot.front.questions import assembler_parts, read_text
from nativecache.cache.lookup import EntryStore
from nativecache.cache.store import MemoryStore

DATA = b'#if __has_include("\xe4.h")\n#define A(x) x##__DATE__\n#endif\n/* \xff */ asm(".incbin \\"x\\"");\n'
DIGEST = hashlib.sha256(DATA).hexdigest()


def test_facts_are_kept() -> None:
    store = MemoryStore()
    facts = HeaderFacts(EntryStore(store))
    text, parts = read_text(DATA), assembler_parts(DATA)
    assert facts.find("/inc/a.h", DIGEST) is None
    facts.note("/inc/a.h", DIGEST, text)
    facts.note("/inc/b.h", "1" * 64, read_text(b""))
    assert facts.find("/inc/a.h", DIGEST) == (text, None)
    facts.note_parts("/inc/a.h", "0" * 64, assembler_parts(b""))
    assert facts.find("/inc/a.h", DIGEST) == (text, None)  # it was changed between being read twice
    facts.note_parts("/inc/a.h", DIGEST, parts)
    facts.save()
    again = HeaderFacts(EntryStore(store))
    assert again.find("/inc/a.h", DIGEST) == (text, parts)
    assert again.find("/inc/a.h", "0" * 64) is None
    assert again.find("/inc/c.h", DIGEST) is None and again.find("/other/a.h", DIGEST) is None


def test_another_content_takes_the_place() -> None:
    store = MemoryStore()
    for data in (DATA, b"#define B\n"):
        facts = HeaderFacts(EntryStore(store))
        facts.note("/inc/a.h", hashlib.sha256(data).hexdigest(), read_text(data))
        facts.save()
    again = HeaderFacts(EntryStore(store))
    assert again.find("/inc/a.h", DIGEST) is None
    assert again.find("/inc/a.h", hashlib.sha256(b"#define B\n").hexdigest())


def test_a_name_stands_for_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    facts = HeaderFacts(EntryStore(MemoryStore()))
    facts.note("inc/a.h", DIGEST, read_text(DATA))
    for name in ("inc/a.h", "./inc/../inc/a.h", f"{tmp_path}/inc/a.h"):
        assert facts.find(name, DIGEST)
    monkeypatch.chdir("/")
    assert facts.find("inc/a.h", DIGEST) is None
