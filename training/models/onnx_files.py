"""What an exported ONNX file carries besides the model, and how it is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genrf.files import written_whole


def strip(path: Path) -> None:
    """Remove from a file what no runtime reads: for every node the exporter writes the lines of source code that led to it,
    with the paths of the machine; of a small model that is most of the file."""
    import onnx

    model = onnx.load(path)
    _strip(model)
    _strip_graph(model.graph)
    for function in model.functions:
        _strip(function)
        _strip_nodes(function.node)
    with written_whole(path) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))


def _strip_graph(graph: Any) -> None:
    _strip(graph)
    for part in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        _strip(part)
    _strip_nodes(graph.node)


def _strip_nodes(nodes: Any) -> None:
    for node in nodes:
        _strip(node)
        for attribute in node.attribute:
            _strip(attribute)
            # Empty unless the attribute is the body of a loop or a branch.
            for graph in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                _strip_graph(graph)


def _strip(part: Any) -> None:
    """Remove a message's own remarks; not every kind has both."""
    known = {field.name for field in part.DESCRIPTOR.fields}
    for name in {"doc_string", "metadata_props"} & known:
        part.ClearField(name)
