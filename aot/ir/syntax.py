"""The grammar of printed LLVM IR: the regular expressions for its tokens, and how names are spelled."""

from __future__ import annotations

import re
from typing import Final

#: What `!dbg` attaches to a global or a function: the node.
ATTACHED_NODE: Final = re.compile(r", !dbg (!\d+)", re.ASCII)
