"""Where the boxes of a drawn graph go: layers by longest path, few crossings, straight lines.

The steps are Sugiyama's: break cycles, layer, order each layer by the mean of its neighbours, then
place every layer by least squares under a minimum distance (pool adjacent violators).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Point = tuple[float, float]
Edge = tuple[str, str]
SWEEPS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Centres of the nodes and the bends of every edge, in units of the given widths."""

    at: Mapping[str, Point]
    routes: Mapping[Edge, tuple[Point, ...]]
    """Points from source to target, ends included."""
    layers: tuple[tuple[str, ...], ...]


@dataclass(slots=True)
class _Levels:
    """Layers of nodes and of the bends of long edges, with the short links between them."""

    rows: list[list[str]]
    up: dict[str, list[str]] = field(default_factory=dict)
    down: dict[str, list[str]] = field(default_factory=dict)
    bends: dict[Edge, list[str]] = field(default_factory=dict)

    def link(self, above: str, below: str) -> None:
        self.down.setdefault(above, []).append(below)
        self.up.setdefault(below, []).append(above)


def place(
    widths: Mapping[str, float],
    edges: Iterable[Edge],
    *,
    rightmost: frozenset[str] = frozenset(),
    gap: float = 36,
    row_height: float = 84,
) -> Placement:
    """Place nodes (in `widths` order, the first on top); `rightmost` ones end their layer."""
    nodes = list(widths)
    loops = _loops(nodes, edges := list(dict.fromkeys(edges)))
    forward = [(t, s) if (s, t) in loops else (s, t) for s, t in edges if s != t]
    levels = _levels(nodes, forward)
    _order(levels, rightmost)
    across = _spread(levels, widths, gap)
    at = {name: (across[name], y * row_height) for y, row in enumerate(levels.rows) for name in row}
    routes = {}
    for source, target in edges:
        turned = (target, source) in levels.bends and (source, target) in loops
        names = levels.bends.get((target, source) if turned else (source, target), [source, target])
        points = tuple(at[name] for name in names)
        routes[source, target] = points[::-1] if turned else points
    rows = tuple(tuple(name for name in row if name in widths) for row in levels.rows)
    return Placement(at={name: at[name] for name in nodes}, routes=routes, layers=rows)


def _loops(nodes: Sequence[str], edges: Sequence[Edge]) -> set[Edge]:
    """Return the edges of cycles that lead back, in the order in which nodes are declared."""
    place_of = {name: i for i, name in enumerate(nodes)}
    return {
        (source, target)
        for source, target in edges
        if place_of[target] < place_of[source] and source in _reached(target, edges)
    }


def _reached(start: str, edges: Sequence[Edge]) -> set[str]:
    seen, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        for source, target in edges:
            if source == here and target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen


def _depths(nodes: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Return each node's longest distance from the first; another source sits above its target."""
    depth = dict.fromkeys(nodes, 0)
    for _ in nodes:
        for source, target in edges:
            depth[target] = max(depth[target], depth[source] + 1)
    entered = {target for _, target in edges}
    for node in nodes[1:]:
        below = [depth[target] for source, target in edges if source == node]
        if node not in entered and below:
            depth[node] = min(below) - 1
    return depth


def _levels(nodes: Sequence[str], edges: Sequence[Edge]) -> _Levels:
    depth = _depths(nodes, edges)
    levels = _Levels([[] for _ in range(max(depth.values(), default=0) + 1)])
    for node in nodes:
        levels.rows[depth[node]].append(node)
    for source, target in edges:
        chain = [source]
        for level in range(depth[source] + 1, depth[target]):
            bend = f"\0{source}\0{target}\0{level}"
            levels.rows[level].append(bend)
            chain.append(bend)
        chain.append(target)
        levels.bends[source, target] = chain
        for above, below in pairwise(chain):
            levels.link(above, below)
    return levels


def _order(levels: _Levels, rightmost: frozenset[str]) -> None:
    best, fewest = [list(row) for row in levels.rows], _crossings(levels)
    for sweep in range(SWEEPS):
        links = levels.down if sweep % 2 else levels.up
        for row in reversed(levels.rows) if sweep % 2 else levels.rows:
            place_of = {name: i for other in levels.rows for i, name in enumerate(other)}
            means = {name: _mean(name, links, place_of) for name in row}
            row.sort(key=lambda name: (name in rightmost, means[name]))
        crossings = _crossings(levels)
        if crossings < fewest:
            best, fewest = [list(row) for row in levels.rows], crossings
    levels.rows = [sorted(row, key=lambda name: name in rightmost) for row in best]


def _mean(name: str, links: Mapping[str, Sequence[str]], values: Mapping[str, float]) -> float:
    near = [values[other] for other in links.get(name, ())]
    return sum(near) / len(near) if near else values[name]


def _crossings(levels: _Levels) -> int:
    total = 0
    for upper, lower in pairwise(levels.rows):
        place_of = {name: i for i, name in enumerate(lower)}
        ends = [
            end for name in upper for end in sorted(place_of[b] for b in levels.down.get(name, ()))
        ]
        total += sum(b < a for i, a in enumerate(ends) for b in ends[i + 1 :])
    return total


def _spread(levels: _Levels, widths: Mapping[str, float], gap: float) -> dict[str, float]:
    """Return each x: as near the mean of its neighbours as the distances in its row allow."""
    across = {name: float(i) * gap for row in levels.rows for i, name in enumerate(row)}
    for sweep in range(SWEEPS * 2):
        links = levels.down if sweep % 2 else levels.up
        for row in reversed(levels.rows) if sweep % 2 else levels.rows:
            wanted = [_mean(name, links, across) for name in row]
            sizes = [widths.get(name, 0.0) for name in row]
            across.update(zip(row, _apart(wanted, sizes, gap), strict=True))
    return across


def _apart(wanted: Sequence[float], sizes: Sequence[float], gap: float) -> list[float]:
    """Move `wanted` as little as possible (least squares) so that no two boxes overlap."""
    offsets = [0.0]
    for left, right in pairwise(sizes):
        offsets.append(offsets[-1] + (left + right) / 2 + gap)
    pools: list[tuple[float, int]] = []
    for target, offset in zip(wanted, offsets, strict=False):
        total, count = target - offset, 1
        while pools and pools[-1][0] / pools[-1][1] >= total / count:
            more, members = pools.pop()
            total, count = total + more, count + members
        pools.append((total, count))
    level = [total / count for total, count in pools for _ in range(count)]
    return [base + offset for base, offset in zip(level, offsets, strict=False)]
