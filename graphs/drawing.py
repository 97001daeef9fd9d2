"""A compiled graph as Mermaid text or as an SVG file, drawn here with no network and no browser.

Failures leave nearly every node for the same place, so the SVG gathers them: each layer's dashed
line runs to one trunk at the right, and the trunk into recovery.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal

from antiphon.graphs.layout import Placement, Point, place

if TYPE_CHECKING:
    from typing import Any

    from langgraph.graph.state import CompiledStateGraph

    # Drawn whatever its state, context, input and output.
    Compiled = CompiledStateGraph[Any, Any, Any, Any]

RECOVERY = "recover"
FAILED = "failed"
END = "__end__"
TERMINALS = {"__start__": "start", END: "end"}

BOX_HEIGHT = 38.0
MARGIN = 28.0
LANE = 15.0
"""How far below a layer its failure line runs."""
CHARACTER = 7.3
CENTRED = 'text-anchor="middle"'
STYLE = """\
text{font:13px ui-sans-serif,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#1f2937}
.label{font-size:11px;fill:#4b5563}.halo{stroke:#fff;stroke-width:4px;stroke-linejoin:round}
.node{fill:#eef4ff;stroke:#4f75b8;stroke-width:1.3}
.terminal{fill:#1f2937;stroke:#1f2937}.terminal+text{fill:#fff}
.guard{fill:#e9f7ef;stroke:#3c9468}.recovery{fill:#fdecec;stroke:#c65353}
.flow{fill:none;stroke:#5b6b84;stroke-width:1.4}
.failure{fill:none;stroke:#d98383;stroke-width:1.1;stroke-dasharray:4 4}"""
DOCUMENT = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="{width}" height="{height}"
 role="img">
<title>{title}</title>
<style>{style}</style>
<defs>
<marker id="to" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7"
 orient="auto"><path d="M0 1L10 5L0 9z" fill="#5b6b84"/></marker>
<marker id="fail" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7"
 orient="auto"><path d="M0 1L10 5L0 9z" fill="#d98383"/></marker>
</defs>
<rect x="{left}" y="{top}" width="100%" height="100%" fill="#fff"/>
{body}
</svg>
"""

Kind = Literal["flow", "failure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One transition."""

    source: str
    target: str
    label: str = ""
    kind: Kind = "flow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """What is drawn: the nodes and the transitions, nothing of LangGraph's own plumbing."""

    name: str
    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]

    def as_json(self) -> dict[str, object]:
        """Return plain JSON."""
        edges = [
            {"source": e.source, "target": e.target, "label": e.label, "kind": e.kind}
            for e in self.edges
        ]
        return {"name": self.name, "nodes": list(self.nodes), "edges": edges}


def sketch(graph: Compiled, name: str = "") -> Sketch:
    """Read nodes and transitions off a compiled graph."""
    drawn = graph.get_graph()
    edges = tuple(
        Edge(
            source=edge.source,
            target=edge.target,
            label="" if str(edge.data or "") in {FAILED, edge.target} else str(edge.data or ""),
            kind="failure" if edge.data == FAILED or edge.target == RECOVERY else "flow",
        )
        for edge in drawn.edges
    )
    # LangGraph leaves out the way to the end of a node that has other ways as well.
    drawn_already = {(edge.source, edge.target) for edge in edges}
    left_out = sorted(graph.builder.edges - drawn_already)
    edges += tuple(Edge(source=source, target=target) for source, target in left_out)
    used = {end for edge in edges for end in (edge.source, edge.target)}
    nodes = tuple(node for node in dict.fromkeys((*drawn.nodes, END)) if node in used)
    return Sketch(name=name, nodes=nodes, edges=edges)


def mermaid(graph: Compiled, name: str = "") -> str:
    """Return the graph as a Mermaid flowchart; failures are dashed."""
    drawn = sketch(graph, name)
    lines = ["---", f"title: {name}", "---"] if name else []
    lines.append("flowchart TD")
    lines += [f"    {_mermaid_node(node)}" for node in drawn.nodes]
    for edge in drawn.edges:
        arrow = "-.->" if edge.kind == "failure" else "-->"
        label = f'|"{edge.label}"|' if edge.label else ""
        lines.append(f"    {edge.source} {arrow}{label} {edge.target}")
    lines += [
        "    classDef terminal fill:#1f2937,stroke:#1f2937,color:#fff",
        "    classDef guard fill:#e9f7ef,stroke:#3c9468",
        "    classDef recovery fill:#fdecec,stroke:#c65353",
    ]
    return "\n".join(lines) + "\n"


def _mermaid_node(node: str) -> str:
    kind = _kind(node)
    shape = f"([{TERMINALS[node]}])" if node in TERMINALS else f'["{node}"]'
    return f"{node}{shape}" + (f":::{kind}" if kind != "node" else "")


def _kind(node: str) -> str:
    if node in TERMINALS:
        return "terminal"
    if node == RECOVERY:
        return "recovery"
    return "guard" if node.startswith("guard_") else "node"


def svg(graph: Compiled, name: str = "") -> str:
    """Return the graph as a self-contained SVG document."""
    return render(sketch(graph, name))


def render(drawn: Sketch) -> str:
    """Return `drawn` as a self-contained SVG document."""
    widths = {node: _width(node) for node in drawn.nodes}
    flow = [edge for edge in drawn.edges if edge.kind == "flow"]
    placed = place(
        widths, [(e.source, e.target) for e in flow], rightmost=frozenset({RECOVERY}), gap=30
    )
    bends = [x for route in placed.routes.values() for x, _ in route]
    left = min([x - widths[n] / 2 for n, (x, _) in placed.at.items()] + bends) - MARGIN
    trunk = max([x + widths[n] / 2 for n, (x, _) in placed.at.items()] + bends) + 34
    top = -BOX_HEIGHT / 2 - MARGIN - (26 if drawn.name else 0)
    bottom = max(y for _, y in placed.at.values()) + BOX_HEIGHT / 2 + MARGIN
    body = [
        *_failures(drawn, placed, widths, trunk),
        *(_flow(placed.routes[edge.source, edge.target]) for edge in flow),
        *(_label(edge, placed.routes[edge.source, edge.target]) for edge in flow if edge.label),
        *(_box(node, placed.at[node], widths[node]) for node in drawn.nodes),
    ]
    if drawn.name:
        body.insert(0, _text(left + MARGIN, top + 24, drawn.name, 'font-weight="600"'))
    size = (trunk + MARGIN - left, bottom - top)
    return _document(body, corner=(left, top), size=size, name=drawn.name)


def _document(body: Sequence[str], *, corner: Point, size: Point, name: str) -> str:
    (left, top), (width, height) = corner, size
    box = f"{left:.0f} {top:.0f} {width:.0f} {height:.0f}"
    return DOCUMENT.format(
        box=box,
        width=f"{width:.0f}",
        height=f"{height:.0f}",
        left=f"{left:.0f}",
        top=f"{top:.0f}",
        title=escape(name or "graph"),
        style=STYLE,
        body="\n".join(body),
    )


def _width(node: str) -> float:
    return len(TERMINALS.get(node, node)) * CHARACTER + 30


def _box(node: str, at: Point, width: float) -> str:
    x, y = at
    corner = BOX_HEIGHT / 2 if node in TERMINALS else 9
    words = _text(x, y + 4.5, TERMINALS.get(node, node), CENTRED)
    return (
        f'<g><rect class="{_kind(node)}" x="{x - width / 2:.1f}" y="{y - BOX_HEIGHT / 2:.1f}" '
        f'width="{width:.1f}" height="{BOX_HEIGHT:.0f}" rx="{corner:.0f}"/>'
        f"{words}</g>"
    )


def _text(x: float, y: float, words: str, attributes: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{escape(words)}</text>'


def _flow(route: Sequence[Point]) -> str:
    """Draw a smooth line that leaves and enters the boxes vertically."""
    (x, y), *rest = _clipped(route)
    path = [f"M{x:.1f} {y:.1f}"]
    for next_x, next_y in rest:
        half = (y + next_y) / 2
        path.append(f"C{x:.1f} {half:.1f} {next_x:.1f} {half:.1f} {next_x:.1f} {next_y:.1f}")
        x, y = next_x, next_y
    return f'<path class="flow" d="{"".join(path)}" marker-end="url(#to)"/>'


def _clipped(route: Sequence[Point]) -> list[Point]:
    """End a route at the edges of its boxes; a loop leaves at the top and enters at the bottom."""
    down = 1 if route[-1][1] >= route[0][1] else -1
    (first_x, first_y), *middle, (last_x, last_y) = route
    half = BOX_HEIGHT / 2
    return [(first_x, first_y + down * half), *middle, (last_x, last_y - down * half)]


def _label(edge: Edge, route: Sequence[Point]) -> str:
    (x1, y1), (x2, y2), *_ = _clipped(route)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2 + 4
    halo = _text(x, y, edge.label, f'class="label halo" {CENTRED}')
    return halo + _text(x, y, edge.label, f'class="label" {CENTRED}')


def _failures(
    drawn: Sketch, placed: Placement, widths: dict[str, float], trunk: float
) -> list[str]:
    sources = [edge.source for edge in drawn.edges if edge.kind == "failure"]
    if not sources or RECOVERY not in placed.at:
        return []
    paths, lanes = [], []
    for layer in placed.layers:
        failing = [node for node in layer if node in sources]
        if not failing:
            continue
        y = placed.at[failing[0]][1] + BOX_HEIGHT / 2
        xs = [placed.at[node][0] + widths[node] / 2 - 12 for node in failing]
        lanes.append(y + LANE)
        paths.append(f"M{min(xs):.1f} {y + LANE:.1f}H{trunk:.1f}")
        paths += [f"M{x:.1f} {y:.1f}V{y + LANE:.1f}" for x in xs]
    x, y = placed.at[RECOVERY]
    ends = [*lanes, y]
    paths.append(f"M{trunk:.1f} {min(ends):.1f}V{max(ends):.1f}")
    lines = f'<path class="failure" d="{"".join(paths)}"/>'
    into = f"M{trunk:.1f} {y:.1f}H{x + widths[RECOVERY] / 2:.1f}"
    return [lines, f'<path class="failure" d="{into}" marker-end="url(#fail)"/>']
