"""The model card of released weights, made from ``card.json``: every figure in it stands there.

Its headings are those that Hugging Face asks of a model card.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genrf import classes
from genrf.circuit.tokens import MAX_DEVICES
from genrf.files import write_json, written_whole
from genrf.generation.released import CARD
from training.evaluation.methods import GENERATOR

FILE = "README.md"
_SUCCESS = re.compile(r"success_at_(\d+)")
_HEAD = """---
library_name: genrf
tags: [radio-frequency, analog-circuits, spice, diffusion, cycle-gan, onnx]
---
<!-- Made by training/release/model_card.py from card.json: publish again instead of editing. -->
# Released weights of GenRF Circuit Diffuser

Three models that, with a circuit simulator, turn a radio-frequency specification into circuits: a Cycle-GAN's generator
proposes topologies, a conditional diffusion model draws component values, a surrogate predicts metrics and says what is
worth simulating. Beside them are precedents, useful training circuits in compact form: every search also starts from those
that come nearest to its specification. What comes out of the search was simulated in ngspice; a prediction is never an answer.
"""
_USE = """## Uses

`genrf generate`, `genrf chain` and `python -m serving` use these weights unless `--bundle FOLDER` or `GENRF_BUNDLE` names
others:

```sh
genrf generate examples/lna_5ghz.yaml
python -m serving
```

They are meant for design with the simulator in the loop, on the process that they were trained on. The surrogate alone
is not a simulator, and the generator alone proposes circuits of which some do not work. Metrics that take too long for
training data, such as an amplifier's intercept point, were never seen: a bound on one is checked, but guides nothing.
"""
_LIMITS = """## Limits

- The figures above are for specifications of the same kind as the data: all of a class's metrics bounded at values that
  some circuit of the grammar reaches. A specification beyond the ranges of the data table may be met late or never.
- Circuits are of the grammar's building blocks and their variations, with at most {devices} devices.
- Everything holds for the process's models and for the simulator: inductors are a lumped model with finite Q, bias comes
  from ideal references, and nothing was laid out or extracted. The README of the repository says more.
- Held-out means a topology, and everything bred from it, that no model trained on. A topology that differs in one device
  counts as another.
- Where these weights are judged on another dataset's held-out specifications (the pipeline does that, to compare a
  challenger with them), its topologies may have been trained on here, unless both datasets were split by the same seed; the
  comparison then says that it is generous to them.
"""


def render(card: Mapping[str, Any]) -> str:
    """The model card as Markdown."""
    sections = [
        _HEAD,
        _join("## Model details", *_details(card)),
        _USE,
        _join("## Training data", *_data(card)),
        _join("## Training procedure", *_training(card)),
        _join("## Evaluation", *_evaluation(card)),
        _LIMITS.format(devices=MAX_DEVICES),
    ]
    return "\n".join(sections)


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write ``card.json`` and the model card made from it."""
    write_json(folder / CARD, card)
    with written_whole(folder / FILE) as temporary:
        temporary.write_text(render(card), encoding="utf-8")


def _join(heading: str, *lines: str) -> str:
    return "\n".join((heading, "", *lines, ""))


def _details(card: Mapping[str, Any]) -> Iterator[str]:
    yield f"Identity `{card['identity'][:16]}`, made with genrf {card['genrf']}, {card['bytes'] / 1e6:.1f} MB altogether."
    yield f"Sizes are drawn in {card['sampler']['steps']} steps with guidance {card['sampler']['guidance']:g}."
    yield from ("", "| model | class | precision | parameters in training | file |", "|---|---|---|---|---|")
    for name, model in card["models"].items():
        size = f"{model['bytes'] / 1e6:.2f} MB"
        yield f"| {name} | `{model['class']}` | {model['precision']} | {model['parameters']:,} | {size} |"


def _data(card: Mapping[str, Any]) -> Iterator[str]:
    data = card["data"]
    failed = sum(data["failed"].values())
    if failed:
        causes = ", ".join(f"{cause} {count:,}" for cause, count in sorted(data["failed"].items()))
        yield f"{data['simulated']:,} circuits simulated, of which {failed:,} failed ({causes}): from these the surrogate"
        yield "learnt which circuits work. The others"
    else:
        yield f"{data['simulated']:,} circuits, none of which failed. They"
    yield f"have {data['topologies']:,} topologies. SHA-256 of the dataset: `{data['dataset_sha256']}`."
    split = data["split"]
    yield f"{100 * split['test_share']:g} % of the topologies, drawn by seed {split['seed']}, are held out."
    yield ""
    yield "| class | circuits | trained on | held out | useful | topologies | frequency | supply |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, entry in data["classes"].items():
        low, high = (value / 1e9 for value in entry["frequency_hz"])
        counts = [f"{entry[key]:,}" for key in ("rows", "rows_train", "rows_test", "useful", "topologies")]
        supply = "{:g} to {:g} V".format(*entry["supply_v"])
        yield f"| {name} | {' | '.join(counts)} | {low:.3g} to {high:.3g} GHz | {supply} |"


def _training(card: Mapping[str, Any]) -> Iterator[str]:
    training = card["training"]
    yield f"Recipe `{card['recipe']}` of `params.yaml` at commit `{card['commit']}`, on {training['hardware']}:"
    yield f"{training['seconds'] / 60:.1f} minutes, summed over the three models."
    yield from ("", "| model | steps | minutes | best validation loss |", "|---|---|---|---|")
    for name, model in card["models"].items():
        loss = f"{model['best_validation_loss']:.4g}"
        yield f"| {name} | {model['steps']:,} | {model['seconds'] / 60:.1f} | {loss} |"
    for remark in card["remarks"]:
        yield from ("", remark)


def _evaluation(card: Mapping[str, Any]) -> Iterator[str]:
    evaluation = card["evaluation"]
    yield f"Share of held-out specifications that a simulated circuit met within so many SPICE calls, from `{evaluation['file']}`"
    yield "(in brackets the 95 % interval of the last figure)."
    if evaluation.get("bundle") == card["identity"]:
        yield "These very files were evaluated."
    else:
        yield "The models were evaluated before their conversion to these files; what that costs is below."
    yield ""
    methods = list(dict.fromkeys(entry["method"] for entry in evaluation["methods"]))
    methods.sort(key=lambda method: method != GENERATOR)
    if any(method.startswith(("precedents alone", "training topologies")) for method in methods):
        yield "`precedents alone` is the generator without the GAN, `training topologies` with topologies drawn from the training"
        yield "data in its place."
        yield ""
    yield f"| class | level | specifications | SPICE calls | {' | '.join(methods)} |"
    yield f"|---|---|---|---|{'---|' * len(methods)}"
    for name, level in dict.fromkeys((entry["class"], entry["level"]) for entry in evaluation["methods"]):
        own = {e["method"]: e for e in evaluation["methods"] if (e["class"], e["level"]) == (name, level)}
        first = own.get(GENERATOR) or next(iter(own.values()))
        calls = _calls(first)
        cells = [_success(own[method]) if method in own else "" for method in methods]
        shown = " / ".join(map(str, calls))
        yield f"| {name} | {level} | {first['specifications']} | {shown} | {' | '.join(cells)} |"
    yield from _gate(card["gate"])
    if card["topologies"]:
        yield from ("", "Topologies straight from the generator:", "")
        yield "| class | drawn | valid | simulate | unique | not in the training data |"
        yield "|---|---|---|---|---|---|"
        for name, quality in card["topologies"].items():
            shares = [_percent(quality[key]) for key in ("valid", "simulates", "unique", "novel")]
            yield f"| {name} | {quality['drawn']:,} | {' | '.join(shares)} |"
    known = ", ".join(f"`{name}`" for name in classes.names() if name not in card["data"]["classes"])
    if known:
        yield from ("", f"The models do not know {known}.")


def _gate(gate: Mapping[str, Any]) -> Iterator[str]:
    tried = [key.removesuffix("_success") for key in gate if key.endswith("_success")]
    if not tried:
        return
    figures = []
    for precision in tried:
        passed = gate.get(f"{precision}_passed")
        verdict = "" if passed is None else " (passed)" if passed else " (not passed)"
        figures.append(f"{precision} {_percent(gate[f'{precision}_success'])}{verdict}")
    yield ""
    yield f"In each precision, met of {gate['specifications']} held-out specifications of all classes: {', '.join(figures)}."


def _calls(entry: Mapping[str, Any]) -> list[int]:
    return sorted(int(match[1]) for key in entry if (match := _SUCCESS.fullmatch(key)))


def _success(entry: Mapping[str, Any]) -> str:
    calls = _calls(entry)
    if not calls:
        return ""
    shares = " / ".join(f"{100 * entry[f'success_at_{number}']:.0f}" for number in calls)
    interval = entry.get(f"success_at_{calls[-1]}_interval")
    return f"{shares} %" + (f" ({100 * interval[0]:.0f} to {100 * interval[1]:.0f})" if interval else "")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
