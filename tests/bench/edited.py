"""B15: what an edit of a real project costs, in processor time, against ninja with ccache and clang."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.measure import Row, compare
from bench.projects import Checkout, Project, check_out


def rows_of_project(project: Project, space: Path, pairs: int) -> Iterator[Row]:
    """A row with pairs for each kind of edit, and rows that no bar asks for. Raises Skipped."""
    space.mkdir()
    checkout = check_out(project, space)
    cold, peer = checkout.ours(), checkout.peer()
    what = f"{project.name} cold, CPU ({len(checkout.sources)} files)"
    yield Row(bar="B15", what=what, peer=peer.cpu, ours=cold.cpu, ratio=cold.cpu / peer.cpu)
    same_behaviour(checkout)
    yield from rows_of_not_kept(checkout)
    walls = []
    for edit in project.edits:
        peers, ours = [], []
        # Who was first has read the sources into the system's cache for who was second.
        for pair in range(pairs):
            checkout.edit(edit)
            costs = {}
            for build in (checkout.ours, checkout.peer) if pair % 2 else (checkout.peer, checkout.ours):
                costs[build] = build()
            ours.append(costs[checkout.ours])
            peers.append(costs[checkout.peer])
        same_behaviour(checkout)
        what = f"{project.name}, {edit.kind} edited: CPU"
        yield compare("B15", what, [cost.cpu for cost in peers], [cost.cpu for cost in ours], "")
        walls.append((edit.kind, median(cost.wall for cost in peers), median(cost.wall for cost in ours)))
    for kind, their_wall, our_wall in walls:
        what = f"{project.name}, {kind} edited: wall"
        yield Row(bar="B15", what=what, peer=their_wall, ours=our_wall, ratio=our_wall / their_wall)
    unchanged, theirs = checkout.ours(), checkout.peer()
    what = f"{project.name}, nothing changed: CPU"
    yield Row(bar="B15", what=what, peer=theirs.cpu, ours=unchanged.cpu, ratio=unchanged.cpu / theirs.cpu)


def same_behaviour(checkout: Checkout) -> None:
    """Raises SystemExit where the two programs do not do the same."""
    ours, peers = checkout.run("ours"), checkout.run("ninja/program")
    if ours != peers:
        name = checkout.project.name
        raise SystemExit(f"bench: {name}: the programs' outputs differ\n{peers[-500:]!r}\n{ours[-500:]!r}")


def rows_of_not_kept(checkout: Checkout) -> Iterator[Row]:
    """Of which files clang's output is not kept, so that every edit reads them again, and why."""
    not_kept = checkout.stats["not_kept"]
    assert isinstance(not_kept, dict)
    for reason in sorted(set(not_kept.values())):
        files = [file for file, why in not_kept.items() if why == reason]
        what = f"{checkout.project.name}, {len(files)} not kept ({files[0]}): {reason}"
        yield Row(bar="B15", what=what)
