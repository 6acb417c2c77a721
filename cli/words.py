"""Reads the words of a build: which are inputs, which go to clang, which to the linker, which are ours.

There is one reader for all who ask, so that they cannot differ. This module is loaded before anything else,
to answer in no time when nothing has changed: it imports little.

`option_table.py` says which options there are, how they take their values and where they go.
"""

import os

from nativecache.cache.files import read_plain
from nativecache.cli.option_table import (
    ALONE,
    BOTH,
    CLANG,
    DEPENDENCIES,
    DROPPED,
    ENVIRONMENT_TOO,
    EQUALS,
    FLAGS,
    INPUT,
    JOINED,
    LANGUAGES,
    LINK,
    LINKERS_OWN,
    OTHER_SPELLINGS,
    OURS,
    PAIRS,
    REFUSED,
    REFUSED_JOINED,
    VALUE_COUNTS,
    VALUED,
)


class BadWords(Exception):
    """Words of a build that cannot be read: one line of what, why, and what to write instead."""


class Word:
    """An option with its value, or an input: where it goes, how it was written, what it is called here.

    `name` and `value` of an option of ours, of one about dependencies, and of clang's `-I -D -U --std
    --cflag`, which the environment can give as well; `--` of what stands behind that. `words` are what clang
    or the link driver is told. `language` is what `-x` said of an input, empty where its name tells; `own`
    are clang's flags for that input alone, `level` its own -O level or "", `folder` where clang is run for
    it, if not here.
    """

    __slots__ = ("folder", "language", "level", "name", "own", "place", "value", "words")

    def __init__(
        self,
        place: str,
        words: "tuple[str, ...]",
        name: str = "",
        value: str = "",
        language: str = "",
        own: "tuple[str, ...]" = (),
        level: str = "",
        folder: str = "",
    ) -> None:
        self.place, self.words, self.name, self.value, self.language = place, words, name, value, language
        self.own, self.level, self.folder = own, level, folder

    def __repr__(self) -> str:
        return f"Word({self.place}, {self.words}, {self.name}, {self.value}, {self.language})"


def read_words(given: "list[str]") -> "list[Word]":
    """Reads what stands behind `build`, in order. What stands behind `--` goes to the link, behind the rest.

    Raises BadWords.
    """
    words = _configured(expand(given))
    cut = words.index("--") if "--" in words else len(words)
    reader = _Reader(words[:cut])
    found = reader.read()
    return [*found, *_behind(words[cut + 1 :])]


def _behind(words: "list[str]") -> "list[Word]":
    """What is for the link alone is taken as it is, a value of an option with it."""
    found = []
    at = 0
    while at < len(words):
        size = 1 + (PAIRS.get(words[at]) in (LINK, BOTH))
        found.append(Word(LINK, _for_driver(words[at : at + size]), "--"))
        at += size
    return found


def _for_driver(words: "list[str]") -> "tuple[str, ...]":
    return (f"-Wl,{words[0]}",) if words[0] in LINKERS_OWN else tuple(words)


class _Reader:
    def __init__(self, words: "list[str]") -> None:
        self.words, self.at, self.language = words, 0, ""
        self.foreign = False  # whether the linker was told that files are of another format

    def read(self) -> "list[Word]":
        found = []
        while self.at < len(self.words):
            word = self.words[self.at]
            self.at += 1
            one = self._option(word) if word[:1] == "-" and word != "-" else self._input(word)
            if one is not None:
                found.append(one)
                if one.place == LINK:
                    self._note_format(",".join(one.words).split(","))
        return found

    def _note_format(self, parts: "list[str]") -> None:
        before = ""
        for part in parts:
            value = part.partition("=")[2] if part.startswith(("--format=", "-format=")) else ""
            if before in ("-b", "--format", "-format"):
                value = part
            if value:
                self.foreign = value != "default" and not value.startswith("elf")
            before = part

    def _input(self, word: str) -> Word:
        if not word:
            raise BadWords("an input's name is empty: name a file")
        if word == "-" and not self.language:
            raise BadWords("'-': standard input is of an unknown language; put -x c before it")
        return Word(INPUT, (word,), language=LINK if self.foreign else self.language)

    def _value(self, option: str) -> str:
        if self.at >= len(self.words):
            raise BadWords(f"Option '{option}' requires an argument.")
        self.at += 1
        return self.words[self.at - 1]

    def _option(self, word: str) -> "Word | None":
        if word in OTHER_SPELLINGS:
            name, _, value = OTHER_SPELLINGS[word].partition("=")
            # A partial link takes what else the linker is told.
            return Word(OURS, (word,), name, value)
        ours = self._ours(word)
        if ours is not None:
            return ours
        if word.startswith(("-fuse-ld=", "--ld-path=")):
            return Word(OURS, (word,), "--linker", word.partition("=")[2])
        if word in ("-Wp,-MD", "-Wp,-MMD") or word.startswith(("-Wp,-MD,", "-Wp,-MMD,")):
            # As clang's driver has it: of more than a file nothing is taken.
            _, kind, *rest = word.split(",")
            words = (kind, "-MF", *rest) if len(rest) == 1 else (kind,)
            return Word(DEPENDENCIES, words, kind, "".join(words[2:]))
        if word == "-x" or word[:2] == "-x" or word[:10] == "--language":
            value = word[2:] if word[:2] == "-x" else word[11:]
            language = value or self._value(word)
            if language not in LANGUAGES:
                raise BadWords(
                    f"'-x {language}' is not taken: languages are {', '.join(LANGUAGES)}; "
                    "compile others with clang, and name its objects"
                )
            self.language = "" if language == "none" else language
            return None
        if word[:2] == "-O" and word[:5] != "-ObjC":
            return Word(OURS, (word,), "-O", word[2:])
        if word in REFUSED or word.startswith(tuple(start for start, _ in REFUSED_JOINED)):
            raise BadWords(f"'{self._in_full(word)}' is not taken: {_remedy(word)}")
        if word in LINKERS_OWN:
            return Word(LINK, (f"-Wl,{word}",))
        if word == "-pthreads":
            return Word(LINK, ("-pthread",))  # gcc, as a driver, does not know this spelling
        place = ALONE.get(word)
        if place is not None:
            return Word(place, (word,), word if place == DEPENDENCIES else "")
        place = PAIRS.get(word)
        if place is not None:
            values = [self._value(word) for _ in range(VALUE_COUNTS.get(word, 1))]
            return _pair(place, word, values)
        for start, place in JOINED:
            if word.startswith(start):
                return _joined(place, start, word)
        raise BadWords(
            f"No such option '{word}': {_meant(word)}clang takes it as --cflag={word}, "
            f"the linker as -Wl,{word}"
        )

    def _ours(self, word: str) -> "Word | None":
        if word in FLAGS:
            return Word(OURS, (word,), word)
        if word in VALUED:
            return Word(OURS, (word,), word, self._value(word))
        name, equals, value = word.partition("=")
        if equals and (name in VALUED or name == "--verify"):
            return Word(OURS, (word,), name, value)
        if word in ("--cflag", "--std"):
            name, value, equals = word, self._value(word), "="
        if equals and name in ("--cflag", "--std"):
            words = (value,) if name == "--cflag" else (f"-std={value}",)
            return Word(CLANG, words, name)
        if word[:2] in ("-o", "-j"):
            return Word(OURS, (word,), word[:2], word[2:])
        if word in ("-target", "--target"):
            return Word(OURS, (word,), "--target", self._value(word))
        if len(word) > 2 and not word[1:].strip("vqh"):
            return Word(OURS, (word,), word)
        return None

    def _in_full(self, word: str) -> str:
        value = self.words[self.at : self.at + (word in PAIRS or word in ("-MJ", "-arch"))]
        return " ".join((word, *value))


def _remedy(word: str) -> str:
    return REFUSED.get(word) or next(why for start, why in REFUSED_JOINED if word.startswith(start))


def _meant(word: str) -> str:
    """The option of ours that a word may be a misspelling of, for a message; empty if none is near."""
    from difflib import get_close_matches

    near = get_close_matches(word.partition("=")[0], sorted(VALUED | FLAGS | {"--std", "--cflag"}), 1, 0.75)
    return f"did you mean {near[0]}? Else " if near else ""


def _pair(place: str, word: str, values: "list[str]") -> Word:
    if word in ENVIRONMENT_TOO:
        return Word(place, (word + values[0],), word, values[0])
    if place == DEPENDENCIES:
        return Word(place, (word, *values), word, values[0])
    if word in EQUALS:
        return Word(place, (f"{word}={values[0]}",))
    return Word(place, _linkers_spelling(word, values) if place == LINK else (word, *values))


def _joined(place: str, start: str, word: str) -> Word:
    if start in ENVIRONMENT_TOO:
        return Word(place, (word,), start)
    if start in ("-std=", "--std="):
        return Word(place, ("-std=" + word[len(start) :],), "--std")
    if place == DEPENDENCIES:
        return Word(place, (word,), start, word[len(start) :])
    if start in ("-rpath=", "--for-linker=", "--force-link=", "--library-directory="):
        return Word(place, _linkers_spelling(start[:-1], [word[len(start) :]]))
    if start == "-Wl,":
        # As clang has it, an empty part is none (an unset variable of a makefile); to ld it is a file.
        parts = [part for part in word.split(",") if part]
        return Word(place, (",".join(parts),)) if parts[1:] else Word(DROPPED, (word,))
    return Word(place, (word,))


def _linkers_spelling(option: str, values: "list[str]") -> "tuple[str, ...]":
    """An option for the linker as both gcc and clang, as drivers, take it."""
    if option == "-rpath":
        return ("-Xlinker", option, "-Xlinker", *values)
    if option == "--for-linker":
        return ("-Xlinker", *values)
    if option in ("--library-directory", "--force-link"):
        return ({"--library-directory": "-L", "--force-link": "-u"}[option], *values)
    return (option, *values)


def _configured(words: "list[str]") -> "list[str]":
    """Puts the words of clang's configuration files before all others, as clang does (clang/lib/Driver).

    They are read here, for they hold flags for the link and for the back end as any other words.
    """
    first: list[str] = []
    last: list[str] = []
    rest: list[str] = []
    at = 0
    end = words.index("--") if "--" in words else len(words)
    while at < end:
        word = words[at]
        at += 1
        if word == "--config" and at < end:
            name = words[at]
            at += 1
        elif word.startswith("--config="):
            name = word[len("--config=") :]
        else:
            rest.append(word)
            if PAIRS.get(word) and at < end:  # whose value is no option, whatever it looks like
                rest.append(words[at])
                at += 1
            continue
        if "/" not in name:
            raise BadWords(
                f"'--config={name}': clang would look for it in folders of its own; name it with its folder"
            )
        for found in _read_configuration(name, ()):
            (last if found[:1] == "$" else first).append(found.removeprefix("$"))
    return [*first, *rest, *last, *words[end:]]


def _read_configuration(path: str, within: "tuple[str, ...]") -> "list[str]":
    """The words of a configuration file and of those that it names as `@FILE`, beside it. Raises BadWords."""
    real = os.path.abspath(path)
    folder = os.path.dirname(real)
    if real in within:
        raise BadWords(f"'{path}': the configuration file holds itself; take it out of {within[-1]}")
    found = []
    for word in split(_configuration_text(_read_text(path, f"--config={path}"))):
        if word.startswith("--config"):
            raise BadWords(f"'{path}': clang takes no {word.partition('=')[0]} inside a configuration file")
        if word[:1] == "@":
            found += _read_configuration(os.path.join(folder, word[1:]), (*within, real))
        else:
            found.append(word.replace("<CFGDIR>", folder))
    return found


def _configuration_text(text: str) -> str:
    """Without comments, which fill lines, and with lines that end in a backslash joined to the next."""
    found = []
    before = ""
    continued = False
    for line in text.replace("\r\n", "\n").split("\n"):
        if not continued and line.lstrip()[:1] == "#":
            continue
        continued = (len(line) - len(line.rstrip("\\"))) % 2 == 1
        before += line[:-1] if continued else line
        if not continued:
            found.append(before)
            before = ""
    return "\n".join([*found, before])


def _read_text(path: str, word: str) -> str:
    try:
        content, _ = read_plain(path)  # twice, by whoever asks for an up-to-date record first: no pipe
    except OSError as error:
        raise BadWords(f"'{word}': the file cannot be read: {error.strerror}") from None
    return os.fsdecode(content.removeprefix(b"\xef\xbb\xbf"))


def expand(words: "list[str]", within: "tuple[str, ...]" = ()) -> "list[str]":
    """Puts the words of `@FILE` in its place, as clang does; where there is no such file it is a word.

    Raises BadWords for a file that cannot be read or holds itself.
    """
    if not any(word[:1] == "@" for word in words):
        return words
    found = []
    for word in words:
        path = word[1:]
        if word[:1] != "@" or not os.path.exists(path):
            found.append(word)
            continue
        real = os.path.realpath(path)
        if real in within:
            raise BadWords(f"'{word}': the file holds itself; take it out of {within[-1]}")
        text = _read_text(path, word)
        found += expand(split(text), (*within, real))
    return found


def split(text: str) -> "list[str]":
    """The words of a file of options (LLVM's TokenizeGNUCommandLine): quotes group, backslashes escape."""
    words = []
    word = ""
    at = 0
    while at < len(text):
        letter = text[at]
        if letter == "\\" and at + 1 < len(text):
            at += 1
            word += text[at]
        elif letter in "'\"":
            at += 1
            while at < len(text) and text[at] != letter:
                if text[at] == "\\" and at + 1 < len(text):
                    at += 1
                word += text[at]
                at += 1
        elif letter in " \t\r\n":
            if word:
                words.append(word)
            word = ""
        else:
            word += letter
        at += 1
    return [*words, word] if word else words
