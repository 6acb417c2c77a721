"""Dataclasses that are quick to make: what `dataclasses` offers, as far as it is used here.

The standard library compiles six functions for every frozen class, half a millisecond of it, and loads
`inspect` first: a third of what a build that compiles one function spent on imports. Here classes share their
methods, and only `__init__` is compiled, when the first value is made; most classes of a build see none.

Types are checked as the standard library's, so a class reads as any dataclass. Its own tools take these
values, too: `__dataclass_fields__` is made when they ask for it.
"""

from functools import partial
from operator import attrgetter

TYPE_CHECKING = False
#: With the first `__init__` of each, and what makes the real one.
_classes: "list[tuple[type, object, Callable[[], Any]]]" = []

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass, field, fields, replace
    from typing import Any
else:
    _NONE = object()  # no default

    class _Field:
        """What is said of a field besides its type."""

        __slots__ = ("default", "factory", "init", "name")

        def __init__(self, default=_NONE, default_factory=_NONE, init=True):
            self.name, self.default, self.factory, self.init = "", default, default_factory, init

    def field(*, default=_NONE, default_factory=_NONE, init=True):
        """A field's default, or what makes it, and whether values are made with it."""
        return _Field(default, default_factory, init)

    def fields(value):
        """The fields of a class or a value, in order; of each the name."""
        return tuple(value.__value_fields__.values())

    def replace(value, /, **changes):
        """A value like another but for some fields. Raises TypeError for what is no field to make it with."""
        for one in value.__value_fields__.values():
            if one.init and one.name not in changes:
                changes[one.name] = getattr(value, one.name)
        return type(value)(**changes)

    def dataclass(cls=None, /, *, frozen=False, slots=False, eq=True, kw_only=False):
        """Makes a class a dataclass. With `slots` that is another class than the given one."""
        if cls is None:
            return lambda cls: dataclass(cls, frozen=frozen, slots=slots, eq=eq, kw_only=kw_only)
        known = {}
        for base in reversed(cls.__mro__[1:]):
            known |= base.__dict__.get("__value_fields__", {})
        own = {name: _own_field(cls, name) for name in cls.__annotations__}
        known |= own
        if slots:
            cls = _with_slots(cls, own)
        cls.__value_fields__ = known
        cls.__dataclass_fields__ = _StandardFields()
        if "__match_args__" not in cls.__dict__ and not kw_only:
            cls.__match_args__ = tuple(one.name for one in known.values() if one.init)
        cls.__init__ = _first_init(cls, frozen, kw_only)
        _classes.append((cls, cls.__init__, partial(_compile_init, cls, frozen, kw_only)))
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = _repr
        if eq and "__eq__" not in cls.__dict__:
            _compare(cls, tuple(known), frozen)
        if frozen:
            cls.__setattr__, cls.__delattr__ = _refuse, _refuse
            if slots:
                cls.__getstate__, cls.__setstate__ = _state, _restore
        return cls

    def _own_field(cls, name):
        default = cls.__dict__.get(name, _NONE)
        made = default if isinstance(default, _Field) else _Field(default)
        made.name = name
        if made is default:  # a class shows plain defaults only
            delattr(cls, name)
            if made.default is not _NONE:
                setattr(cls, name, made.default)
        return made

    def _with_slots(cls, own):
        inherited = {name for base in cls.__mro__[1:] for name in base.__dict__.get("__slots__", ())}
        kept = {
            name: value
            for name, value in cls.__dict__.items()
            if name not in own and name not in ("__dict__", "__weakref__")
        }
        kept["__slots__"] = tuple(name for name in own if name not in inherited)
        made = type(cls)(cls.__name__, cls.__bases__, kept)
        made.__qualname__ = cls.__qualname__
        return made

    def _first_init(cls, frozen, kw_only):
        """An `__init__` that puts the real one in its place."""

        def __init__(self, /, *args, **named):  # noqa: N807
            made = cls.__init__ = _compile_init(cls, frozen, kw_only)
            made(self, *args, **named)

        return __init__

    def _compile_init(cls, frozen, kw_only):
        """Assigns as the standard library's does. Fields with defaults that are made are told by `_none`."""
        names = {"_none": _NONE, "_set": object.__setattr__}
        heads, lines = [], []
        for name, one in cls.__value_fields__.items():
            value = name
            if one.factory is not _NONE:
                names[f"_make_{name}"] = one.factory
                value = f"_make_{name}() if {name} is _none else {name}" if one.init else f"_make_{name}()"
                heads += [f"{name}=_none"] * one.init
            elif one.default is not _NONE:
                names[f"_default_{name}"] = one.default
                heads.append(f"{name}=_default_{name}")
            else:
                heads.append(name)
            lines.append(f"_set(_self, {name!r}, {value})" if frozen else f"_self.{name} = {value}")
        if hasattr(cls, "__post_init__"):
            lines.append("_self.__post_init__()")
        head = ", ".join(["_self", *["*"] * (kw_only and bool(heads)), *heads])
        exec("\n ".join([f"def __init__({head}):", *(lines or ["pass"])]), names)
        made = names["__init__"]
        made.__qualname__ = f"{cls.__qualname__}.__init__"
        return made

    def _repr(self):
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__value_fields__)
        return f"{type(self).__qualname__}({shown})"

    def _compare(cls, names, frozen):
        """Gives a class equality field by field; where it is frozen, hashes to go with that."""
        values = attrgetter(*names) if names else lambda _: ()

        def __eq__(self, other):  # noqa: N807
            return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

        def __hash__(self):  # noqa: N807
            return hash(values(self))

        cls.__eq__ = __eq__
        cls.__hash__ = __hash__ if frozen else None

    def _refuse(_, name, *__):
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot change field {name!r}")

    def _state(self):
        return [getattr(self, name) for name in self.__value_fields__]

    def _restore(self, state):
        for name, value in zip(self.__value_fields__, state, strict=True):
            object.__setattr__(self, name, value)

    class _StandardFields:
        """What the standard library knows of a dataclass, by a twin that it makes."""

        def __get__(self, _, cls):
            import dataclasses

            twin = {"__annotations__": dict.fromkeys(cls.__value_fields__, object)}
            for name, one in cls.__value_fields__.items():
                said = {"default": one.default, "default_factory": one.factory}
                given = {key: value for key, value in said.items() if value is not _NONE}
                twin[name] = dataclasses.field(**given, init=one.init, kw_only=True)
            return dataclasses.dataclass(type(cls.__name__, (), twin)).__dataclass_fields__


def make_all() -> None:
    """Compiles what values are made by, of all classes so far: for a process that will have many children."""
    for cls, first, make in _classes:
        if cls.__dict__.get("__init__") is first:
            cls.__init__ = make()  # type: ignore[misc]


__all__ = ["dataclass", "field", "fields", "make_all", "replace"]
