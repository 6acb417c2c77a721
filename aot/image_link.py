"""The link of an image: not made again where the last one was of the same, and noted with all it read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nativecache.aot.codegen.engine import Engine
from nativecache.aot.front.sources import Front
from nativecache.aot.output.image import Image, Written, write_output
from nativecache.aot.records.dependencies import Finished, gather, gather_linked
from nativecache.aot.records.last_link import LinkRecord, digest_link
from nativecache.aot.report import Clock
from nativecache.aot.request import Request
from nativecache.aot.threads import Threads
from nativecache.cache.dependencies import Dependency
from nativecache.linker.libraries import Libraries
from nativecache.linker.symbol_options import SymbolOptions


class ImageLink:
    """The link of an image, unless the last one of this output was of the same and its output stands."""

    def __init__(
        self,
        request: Request,
        image: Image,
        told: SymbolOptions,
        driver: str | None,
        scratch: Path,
        clock: Clock,
    ) -> None:
        self._request, self._image, self._told = request, image, told
        self._driver, self._clock = driver, clock
        with clock.phase("note"):
            self._record = LinkRecord(request.store, request.output)
            details = (request.emit, request.linker, driver, image.apart)
            self._made_from = digest_link(image, request.environ, scratch, *details)
        self._again = False

    def write(self, *, trusted: bool, meanwhile: Callable[[], None]) -> Written:
        """Links, or finds that there is no need to if the last output can be `trusted`.

        While the linker is at work, `meanwhile` is called. Raises LinkError and BuildError.
        """
        with self._clock.phase("note"):
            known = self._record.look_up(self._made_from) if trusted else None
        with Threads(1) as threads:
            kept = threads.submit(meanwhile)
            if self._request.emit == "bitcode":
                # LLVM links it in a process forked from this one, which must have no threads then.
                kept.result()
            self._again = known is None
            written = known or self._write()
            with self._clock.phase("memo"):
                kept.result()
        return written

    def _write(self) -> Written:
        return write_output(
            self._image,
            emit=self._request.emit,
            output=self._request.output,
            linker=self._request.linker,
            driver=self._driver,
            told=self._told,
            environ=self._request.environ,
            phase=self._clock.phase,
        )

    def note(self, finished: Finished, front: Front) -> tuple[Dependency, ...] | None:
        """What the whole build depends on, None if that cannot be told; that of a new link is kept."""
        linked = gather_linked(finished, front.cache.start.since())
        if linked is not None and self._again:
            self._record.save(self._made_from, finished.written, linked)
        return gather(finished, front.cache, linked)


def finished_build(
    request: Request,
    engine: Engine,
    libraries: Libraries,
    told: SymbolOptions,
    written: Written,
    scratch: Path,
) -> Finished:
    """What a build that has linked was made from, for whoever notes what it depends on."""
    return Finished(
        inputs=request.inputs,
        engine=engine.path,
        chosen=(request.clang, request.driver, request.linker),
        link_options=request.link_options,
        scripts=told.files,
        libraries=libraries,
        written=written,
        scratch=scratch,
        environ=request.environ,
    )
