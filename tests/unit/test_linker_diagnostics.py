"""What linkers say, made short."""

from nativecache.linker.diagnostics import condense


def test_messages_that_are_not_about_symbols_are_kept() -> None:
    text = "/usr/bin/ld: cannot find -lnope: No such file\ncollect2: error: ld returned 1 exit status\n"
    assert condense(text, "ours.a") == ["cannot find -lnope: No such file"]
