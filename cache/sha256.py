"""SHA-256 for who hashes little and is to answer at once: without OpenSSL, which takes 4 ms to load.

That is as long as Python's own takes for 400 kB, so what is larger goes to OpenSSL; and so does everything
once a process has loaded it.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import _Hash
    from hashlib import sha256 as _own
else:
    try:
        from _sha256 import sha256 as _own  # Python 3.11
    except ImportError:
        try:
            from _sha2 import sha256 as _own  # from 3.12 on
        except ImportError:
            from hashlib import sha256 as _own

#: From so many bytes on OpenSSL is quicker, its start included.
_MANY = 400_000
_hashed = 0  # so many there were in this process


def sha256(data: "bytes | memoryview" = b"", *, more: int = 0) -> "_Hash":
    """A digest that more can be added to, as `hashlib` has it; about so many bytes `more` will be."""
    global _hashed  # noqa: PLW0603 - it decides about speed only
    _hashed += len(data) + more
    if _hashed >= _MANY or "hashlib" in sys.modules:
        import hashlib

        return hashlib.sha256(data)
    return _own(data)
