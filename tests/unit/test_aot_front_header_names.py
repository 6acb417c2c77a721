"""Under which names a file may have been looked for."""

import pytest

from nativecache.aot.front.header_names import spellings


@pytest.mark.parametrize("path", ["in/x.h", "in//x.h", "in///x.h", "/usr//x.h", "in/sub/x.h", "in//sub/x.h"])
def test_paths_from_places(path: str) -> None:
    names = spellings(path, {"in", "/usr", "in/other"})
    assert names[-1] == ("sub/x.h" if "sub" in path else "x.h")
    assert path.startswith("/") or names[0] == path


def test_a_path_from_nowhere() -> None:
    assert spellings("/opt/x.h", {"in"}) == ["x.h"]
