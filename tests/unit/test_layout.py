"""The parts of the project, and the rooms of aot, know each other in one direction only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import ROOT

PARTS = ("cli", "aot", "cache", "linker")
MAY_IMPORT = {
    "cli": {"aot", "cache", "linker"},
    "aot": {"cache", "linker"},
    "cache": set[str](),
    "linker": set[str](),
}
#: Modules of aot that everyone there may use, for they use none but one another.
BASE = frozenset(("errors", "key", "packed", "pool", "request", "spool", "threads", "verify", "write"))
#: The layers of aot from the lowest to the highest: a room, or a module beside the rooms, and what it may
#: import besides itself and BASE. ARCHITECTURE.md has the picture.
LAYERS = {
    "ir": set[str](),
    "debug": {"ir"},
    "codegen": {"ir"},
    "units": {"ir", "debug"},
    "front": {"ir", "debug", "codegen"},
    "output": {"ir", "codegen", "units", "front"},
    "records": {"ir", "codegen", "units", "front", "output"},
    "embed": {"codegen"},
    "called_once": {"ir", "units"},
    "simplify": {"ir", "debug", "codegen", "units", "records", "called_once"},
    "formats": {"codegen", "front", "output", "records"},
    "report": {"front"},
    "schedule": {"ir", "codegen", "units", "output", "records", "report"},
    "standing": {
        *("ir", "codegen", "units", "front", "output", "records", "simplify", "called_once", "schedule"),
        "debug",
    },
    "workers": {"codegen", "simplify", "schedule"},
    "whole": {"codegen", "front", "schedule"},
    "image_link": {"codegen", "front", "output", "records", "report"},
    "build": set[str](),  # everything
}
LAYERS["build"] = LAYERS.keys() - {"build", "embed", "formats"}
# Third-party packages, and the only places that may import them.
HOMES = {
    "llvmlite": ("aot/",),
    "filelock": ("cache/",),
    "click": ("cli/",),
    "rich": ("cli/",),
}


def modules(part: str) -> list[Path]:
    return sorted((ROOT / part).rglob("*.py"))


def shown(module: Path) -> str:
    return module.relative_to(ROOT).as_posix()


def imports(module: Path) -> Iterator[str]:
    """Absolute dotted names of what a module imports, wherever in the module the import stands."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{shown(module)}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(names: list[str]) -> str:
    """The layer of a module below aot, given by the parts of its name."""
    return "" if not names or names[0] in BASE else names[0]


def layer_of(module: Path) -> str:
    return layer(list(module.relative_to(ROOT / "aot").with_suffix("").parts))


@pytest.mark.parametrize("part", PARTS)
def test_parts_import_in_one_direction(part: str) -> None:
    wrong = [
        f"{shown(module)} imports {name}"
        for module in modules(part)
        for name in imports(module)
        if name.startswith("nativecache.") and name.split(".")[1] not in MAY_IMPORT[part] | {part}
    ]
    assert modules(part) and not wrong


def test_rooms_import_in_one_direction() -> None:
    wrong = [
        f"{shown(module)} imports {name}"
        for module in modules("aot")
        if module != ROOT / "aot" / "__init__.py"
        for name in imports(module)
        if name.startswith("nativecache.aot.")
        and layer(name.split(".")[2:]) not in LAYERS.get(layer_of(module), set()) | {layer_of(module), ""}
    ]
    assert not wrong


def test_every_room_has_its_layer_and_none_is_above_itself() -> None:
    found = {layer_of(module) for module in modules("aot")} - {"", "__init__"}
    assert found == LAYERS.keys()
    below = set[str]()
    for name, may in LAYERS.items():
        assert may <= below, f"{name} may import what stands above it"
        below.add(name)


@pytest.mark.parametrize("part", PARTS)
def test_third_party_packages_stay_where_they_belong(part: str) -> None:
    wrong = [
        f"{shown(module)} imports {name}"
        for module in modules(part)
        for name in imports(module)
        if not shown(module).startswith(HOMES.get(name.split(".")[0], (part,)))
    ]
    assert not wrong


def test_no_root_package_and_no_common_folder() -> None:
    assert not [name for name in ("__init__.py", "common", "utils") if (ROOT / name).exists()]
    folders = (path for part in PARTS for path in (ROOT / part).rglob("*"))
    assert not [path for path in folders if path.stem in ("common", "utils")]
