"""`antiphon graph`: the tables as a drawing, and the proof that they keep their promises."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.gateway.cli.opening import opened, run
from antiphon.gateway.cli.options import AsJson, AssistantFolder
from antiphon.gateway.cli.output import console, emit, visible, write_file
from antiphon.tools.errors import AntiphonError, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from antiphon.graphs.drawing import Compiled
    from antiphon.graphs.properties import Property
    from antiphon.graphs.runtime import Runtime

RENDERERS = (
    ("rsvg-convert", "{svg}", "-o", "{png}"),
    ("inkscape", "{svg}", "--export-filename={png}"),
    ("magick", "{svg}", "{png}"),
)
"""Programs that make a PNG of an SVG, best first."""


class Name(StrEnum):
    """The graphs there are."""

    conversation = "conversation"
    ingest = "ingest"
    incident = "incident"


def graph(
    name: Annotated[Name, typer.Option("--name", help="Which graph.")] = Name.conversation,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="FILE.mmd, FILE.svg or FILE.png."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Prove the graph's properties; exit 1 where one fails.")
    ] = False,
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> int:
    """Draw a graph, or prove its properties.

    Without --output it prints Mermaid.
    """
    kind = output.suffix if output else ".mmd"
    if kind not in {".mmd", ".svg", ".png"}:
        raise InputError(f"cannot draw {str(output)!r}", hint="End it in .mmd, .svg or .png.")
    if check:
        return _check(name, assistant, as_json=as_json)
    from antiphon.graphs.drawing import mermaid, sketch, svg

    compiled = run(_compiled(name, assistant))
    drawn = sketch(compiled, name)
    if output is None:
        if as_json:
            emit({**drawn.as_json(), "mermaid": mermaid(compiled, name)})
        else:
            print(mermaid(compiled, name), end="")
        return 0
    if kind == ".png":
        _write_png(svg(compiled, name), output)
    else:
        write_file(svg(compiled, name) if kind == ".svg" else mermaid(compiled, name), output)
    if as_json:
        emit({**drawn.as_json(), "output": str(output)})
    else:
        print(f"Drew {len(drawn.nodes)} nodes and {len(drawn.edges)} transitions into {output}")
    return 0


async def _compiled(name: Name, assistant: Path | None) -> Compiled:
    async with opened(assistant) as runtime:
        return _graph(runtime, name)


def _graph(runtime: Runtime, name: Name) -> Compiled:
    from antiphon.graphs.compiled import compile_conversation
    from antiphon.graphs.ingest import build_ingest

    services = runtime.services
    match name:
        case Name.conversation:
            return compile_conversation(services)
        case Name.ingest:
            return build_ingest(services.knowledge, services.tokens).compile(name="ingest")
        case Name.incident:
            return runtime.on_call.responder().graph


def _check(name: Name, assistant: Path | None, *, as_json: bool) -> int:
    properties = run(_verified(name, assistant))
    ok = all(found.ok for found in properties)
    if as_json:
        rows = [{"name": p.name, "ok": p.ok, "detail": p.detail} for p in properties]
        emit({"graph": name.value, "ok": ok, "properties": rows})
    else:
        out = console()
        for found in properties:
            detail = f": {found.detail}" if found.detail else ""
            mark, style = ("holds", "green") if found.ok else ("FAILS", "bold red")
            out.print(f"{mark}  ", style=style, end="")
            out.print(visible(f"{found.name}{detail}"))
    return 0 if ok else 1


async def _verified(name: Name, assistant: Path | None) -> Sequence[Property]:
    from antiphon.graphs.properties import verify, verify_shape

    async with opened(assistant) as runtime:
        table = _graph(runtime, name).builder
        if name is Name.conversation:
            return verify(table, runtime.services.toolbox)
        return verify_shape(table)


def _write_png(drawing: str, output: Path) -> None:
    """Have a program that is installed turn the SVG into a PNG."""
    program = next((known for known in RENDERERS if shutil.which(known[0])), None)
    if program is None:
        names = ", ".join(known[0] for known in RENDERERS)
        raise AntiphonError(
            f"a PNG needs one of {names}, and none is installed",
            hint="Install librsvg2-bin (Debian, Ubuntu) or librsvg (Homebrew), or draw an .svg.",
        )
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "graph.svg"
        source.write_text(drawing, encoding="utf-8")
        command = [part.format(svg=source, png=output.absolute()) for part in program]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode or not output.exists():
        raise AntiphonError(f"{program[0]} could not draw {str(output)!r}: {done.stderr.strip()}")
