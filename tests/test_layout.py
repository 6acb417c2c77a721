"""The parts of the project know each other in one direction only, and their folders are flat."""

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
# Third-party packages, and the only places that may import them.
HOMES = {
    "llvmlite": ("aot/", "linker/jit.py"),
    "filelock": ("cache/",),
    "click": ("cli/",),
    "rich": ("cli/",),
}


def modules(part: str) -> list[Path]:
    return sorted((ROOT / part).glob("*.py"))


def imports(module: Path, part: str) -> Iterator[str]:
    """Absolute dotted names of what a module imports, wherever in the module the import stands."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            packages = ["nativecache", part][: 3 - node.level] if node.level else []
            origin = ".".join([*packages, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("part", PARTS)
def test_parts_import_in_one_direction(part: str) -> None:
    wrong = [
        f"{part}/{module.name} imports {name}"
        for module in modules(part)
        for name in imports(module, part)
        if name.startswith("nativecache.") and name.split(".")[1] not in MAY_IMPORT[part] | {part}
    ]
    assert not wrong


@pytest.mark.parametrize("part", PARTS)
def test_third_party_packages_stay_where_they_belong(part: str) -> None:
    wrong = [
        f"{part}/{module.name} imports {name}"
        for module in modules(part)
        for name in imports(module, part)
        if not f"{part}/{module.name}".startswith(HOMES.get(name.split(".")[0], (part,)))
    ]
    assert not wrong


@pytest.mark.parametrize("part", PARTS)
def test_folders_are_flat(part: str) -> None:
    assert modules(part), f"{part}/ has no modules"
    nested = [path for path in (ROOT / part).iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert not nested, "a nested package silently misses the wheel"


def test_no_root_package_and_no_common_folder() -> None:
    assert not [name for name in ("__init__.py", "common", "utils") if (ROOT / name).exists()]
