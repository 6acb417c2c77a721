"""Limits: how they are written, and which of several counts."""

from pathlib import Path

import pytest

from nativecache.cache.limits import (
    Limits,
    parse_age,
    parse_files,
    parse_size,
    read_limits,
    user_config,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("5G", 5 * 2**30),
        ("500 MiB", 500 * 2**20),
        ("1.5k", 1536),
        ("2tb", 2 * 2**40),
        ("4096", 4096),
        ("10B", 10),
        ("0", None),
        ("none", None),
    ],
)
def test_sizes(text: str, size: int | None) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("30s", 30),
        ("5m", 300),
        ("12h", 43200),
        ("7d", 604800),
        ("2W", 1209600),
        ("0", None),
        (" None ", None),
    ],
)
def test_ages(text: str, age: float | None) -> None:
    assert parse_age(text) == age


def test_files() -> None:
    assert (parse_files("100"), parse_files("0"), parse_files("none")) == (100, None, None)


@pytest.mark.parametrize("text", ["", "G", "-1G", "5X", "5 G G", "1e9"])
def test_what_is_no_limit(text: str) -> None:
    for parse in (parse_size, parse_age, parse_files):
        with pytest.raises(ValueError, match="is not a"):
            parse(text)


def test_the_nearest_that_names_a_limit_counts(tmp_path: Path) -> None:
    folder, user = tmp_path / "folder.toml", tmp_path / "user.toml"
    assert read_limits({}, (folder, user)) == Limits()
    user.write_text('max-size = "1G"\nmax-age = "1d"\nmax-files = 7\n')
    folder.write_text('max-size = "2G"\nmax-age = "none"\n')
    assert read_limits({}, (folder, user)) == Limits(2 * 2**30, None, 7)
    assert read_limits({"max-size": "3G"}, (folder, user)) == Limits(3 * 2**30, None, 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max-size = ", "config.toml: "),
        ("max-sise = 5", "no such setting: max-sise; there are max-size, max-age, max-files"),
        ('max-age = "soon"', "config.toml: max-age: 'soon' is not an age"),
        ("max-files = 1.5", "config.toml: max-files: '1.5' is not a number"),
        ("\udcff", "config.toml: "),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, message: str) -> None:
    config = tmp_path / "config.toml"
    config.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=message):
        read_limits({}, (config,))


def test_a_wrong_limit_that_was_chosen_is_named_without_a_file(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('max-size = "1G"\n')
    with pytest.raises(ValueError, match=r"^max-size: 'big' is not a size"):
        read_limits({"max-size": "big"}, (config,))


def test_the_users_configuration() -> None:
    assert user_config({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}) == Path("/x/nativecache/config.toml")
    assert user_config({"XDG_CONFIG_HOME": "x", "HOME": "/h"}) == Path("/h/.config/nativecache/config.toml")
    assert user_config({}) == Path("/.config/nativecache/config.toml")
