"""Makes well-formed entries with another form inside, as whoever can write to a cache folder might."""

import json
import random
import zlib
from collections.abc import Callable
from typing import Any

from nativecache.cache.format import seal, unseal

#: Values of other types and out of any range, as JSON. Python's own writer spells all of them.
ODD: tuple[Any, ...] = (
    *(None, True, -1, 2**80, 10**400, 1.5, float("nan"), float("inf"), -(2.0**70)),
    *("", "\0", "\ud800", "nc.0", "/", "x" * 5000, [], [[]], {}, {"": []}, [None], ["a", 1]),
)
_NESTED = b'{"a":' * 20000 + b"1" + b"}" * 20000


def mutate_json(value: Any, choose: random.Random) -> Any:
    """The same with something odd somewhere."""
    if isinstance(value, dict) and value and choose.random() < 0.7:
        name = choose.choice(sorted(value))
        kept = {other: item for other, item in value.items() if other != name}
        if choose.random() < 0.2:
            return kept
        return {**kept, name: mutate_json(value[name], choose)}
    if isinstance(value, list) and value and choose.random() < 0.7:
        n = choose.randrange(len(value))
        return [*value[:n], mutate_json(value[n], choose), *value[n + 1 :]]
    return choose.choice(ODD)


def mutate_bytes(data: bytes, choose: random.Random) -> bytes:
    """Bytes of another form: cut, longer, other numbers in front, none, or nothing like them."""
    how = choose.randrange(7)
    at = choose.randrange(len(data) + 1)
    if how == 0:
        return data[:at]
    if how == 1:
        return data + choose.randbytes(choose.randrange(1, 50))
    if how == 2:
        return choose.choice((b"\xff" * 8, b"\0" * 8, (2**40).to_bytes(8, "little"))) + data[8:]
    if how == 3:
        return data[:8] + choose.choice((b"\xff" * 8, b"\0" * 8, (2**33).to_bytes(8, "little"))) + data[16:]
    if how == 4:
        return choose.choice((b"", b"\0", b"null", b"\x7fELF", b"BC\xc0\xde", b"[]", b"{}", _NESTED))
    if how == 5:
        return zlib.compress(b"\0" * (1 << 20))
    return choose.randbytes(len(data))


def forged(key: str, entry: bytes, choose: random.Random, others: list[bytes]) -> bytes:
    """A well-formed entry of the same key that is of another form, in its payload or its metadata."""
    payload, meta = unseal(key, entry)
    how = choose.randrange(4)
    if how == 0:
        meta = dump(mutate_json(json.loads(meta), choose))
    elif how == 1 and payload[:1] in (b"{", b"["):
        payload = dump(mutate_json(json.loads(payload), choose))
    elif how == 2:
        # Of another kind: what is of the same is of the right form, whatever it says.
        kinds = [other for other in others if other[:4] != payload[:4]]
        payload = choose.choice(kinds) if kinds else b""
    else:
        payload = mutate_bytes(payload, choose)
    return seal(key, payload, meta)


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


Forge = Callable[[str, bytes], bytes]
