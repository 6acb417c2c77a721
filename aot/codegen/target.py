"""Agrees on one target for all modules of a build: triple, data layout, code and relocation model."""

from __future__ import annotations

import os
from typing import Final

from nativecache.aot.codegen import llvm
from nativecache.aot.codegen.engine import Engine
from nativecache.aot.codegen.facts import (
    host_recipe,
    keep_host,
    keep_layout,
    layout_recipe,
    read_host,
    read_layout,
)
from nativecache.aot.codegen.flags import unrolls
from nativecache.aot.codegen.triples import architecture, normalise, refusal
from nativecache.aot.errors import BuildError
from nativecache.aot.ir.module import Module
from nativecache.aot.key import Options
from nativecache.aot.pool import Job, Pool, WorkerDied
from nativecache.aot.request import Request
from nativecache.cache.lookup import EntryStore
from nativecache.linker import lazy_re as re
from nativecache.linker.values import replace


def choose_target(
    request: Request, modules: tuple[Module, ...], engine: Engine
) -> tuple[Options, tuple[Module, ...]]:
    """The options that every unit is compiled with, and the modules with the target's data layout.

    Raises BuildError with all modules of another target, and for one that what is asked for cannot be
    made for.
    """
    triple = request.target or next((m.triple for m in modules if m.triple), "") or _host(request.store)
    triple = normalise(triple) if _is_known(normalise(triple)) else triple
    _check(request, modules, triple)
    cpu, features = request.cpu or "", request.features
    if cpu == "native":
        _, host_cpu, host_features = llvm.host()
        cpu, features = host_cpu, ",".join(part for part in (host_features, features) if part)
    models = {_code_model(m) for m in modules} - {"default"}
    options = Options(
        triple=triple,
        cpu=cpu,
        features=features,
        level=request.level,
        optimize=request.optimize,
        relocation="static" if _is_static(request, modules) else "pic",
        code_model=max(models, key=_MODELS.index, default="default"),
        output={"asm": "assembly", "bitcode": "bitcode"}.get(request.emit, "object"),
        unroll=unrolls(request.code_flags),
    )
    layout = _layout(options, engine, request.store)
    if problems := [
        f"{m.label}: its data layout is not that of {triple}; compile it for this target"
        for m in modules
        if not _agrees(m.datalayout, layout)
    ]:
        raise BuildError(*problems)
    return options, tuple(replace(module, datalayout=layout) for module in modules)


def _host(store: EntryStore) -> str:
    """This machine's triple, for which an earlier build may have asked LLVM."""
    known = store.read(host_recipe().key(), read_host)
    if known is None:
        known = llvm.host()[0]
        keep_host(store, known)
    return known


def _check(request: Request, modules: tuple[Module, ...], triple: str) -> None:
    why = refusal(triple, request.emit)
    if why and _is_known(triple):
        first = next((m.label for m in modules if m.triple), None)
        raise BuildError(f"{first}: {why}" if first and not request.target else why)
    if problems := [
        f"{m.label}: is for {m.triple}, but the build is for {triple}; build one target at a time"
        for m in modules
        if m.triple not in ("", triple) and llvm.platform(m.triple) != llvm.platform(triple)
    ]:
        raise BuildError(*problems)


#: What LLVM adds to layouts but does not upgrade old ones with: alignment of functions, pointers of further
#: address spaces, types wider than any that was aligned before.
_ADDED: Final = re.compile(r"F[in]\d+|p[1-9]\d*(?:[:\d]+)|i256:\d+")


def _agrees(theirs: str, layout: str) -> bool:
    """Whether all that a module's data layout says is in the target's, and the target's adds little."""
    old, new = set(theirs.split("-")), set(layout.split("-"))
    return not theirs or (old <= new and all(map(_ADDED.fullmatch, new - old)))


def is_foreign(options: Options) -> bool:
    """Whether another kind of machine than this one runs the code."""
    return architecture(options.triple) != architecture(os.uname().machine)


def _is_known(triple: str) -> bool:
    """Whether LLVM has a target for a triple. This machine's own it has."""
    return architecture(triple) == architecture(os.uname().machine) or llvm.is_known(triple)


def _is_static(request: Request, modules: tuple[Module, ...]) -> bool:
    """Whether the code may hold absolute addresses: the image is not to move, and no module minds."""
    fixed = not {"-no-pie", "-static"}.isdisjoint(request.link_options) and request.emit == "exe"
    return fixed and not any('"PIC Level"' in text for m in modules for text in m.metadata.values())


def _layout(options: Options, engine: Engine, store: EntryStore) -> str:
    """The target's data layout, which an earlier build may have asked for."""
    known = store.read(layout_recipe(engine.identity, options).key(), read_layout)
    if known is not None:
        return known
    _check_names(options)
    found = llvm.layout_of(engine, options)
    keep_layout(store, engine.identity, options, found)
    return found


def _check_names(options: Options) -> None:
    """Raises BuildError for an unknown CPU or feature. LLVM only prints what it thinks of them."""
    if options.cpu or options.features:
        with Pool(1, {"check": llvm.check_target}) as pool:
            pool.submit(Job("check", None, (options,)))
            for done in pool.results():
                if isinstance(done.error, WorkerDied):
                    if advice := done.error.advice():
                        raise BuildError(f"target {options.triple}: LLVM stopped: {done.error}{advice}")
                    unsigned = any(name[:1] not in "+-" for name in options.features.split(","))
                    signs = "; each feature begins with + or -" if options.features and unsigned else ""
                    what = f"CPU '{options.cpu}'" if options.cpu else f"features '{options.features}'"
                    raise BuildError(f"target {options.triple}: LLVM cannot use {what} for it{signs}")
                if done.error:
                    raise done.error


#: Code models, as llvm/Support/CodeGen.h numbers them: of those asked for the last reaches farthest.
_MODELS: Final = ("tiny", "small", "kernel", "medium", "large")


def _code_model(module: Module) -> str:
    """The code model that the module's flags ask for."""
    flags = module.named_metadata.get("llvm.module.flags", "")
    for token in flags.split(", "):
        text = module.metadata.get(token, "")
        if '"Code Model"' in text:
            number = int(text.rstrip("}").rsplit(" ", 1)[1])
            return _MODELS[number]
    return "default"
