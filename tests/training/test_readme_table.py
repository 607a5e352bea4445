"""The README's table and the page of results, from results."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "readme.py"


@pytest.fixture(scope="module")
def readme() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmarks_readme", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entry(method: str, calls: int, share: float, specifications: int = 200) -> dict[str, Any]:
    figures = {
        f"success_at_{k}": round(share * f, 3)
        for k, f in ((1, 0.9), (8, 0.95), (64, 1.0), (640, 1.0), (6400, 1.0))
        if k <= calls
    }
    figures |= {f"{key}_interval": [value - 0.02, value + 0.01] for key, value in figures.items()}
    head = {"class": "lna", "level": "exact", "method": method, "calls": calls, "specifications": specifications}
    return head | figures


def against(method: str, calls: int, matched: float | None, specifications: int = 12) -> dict[str, Any]:
    return {
        "class": "lna",
        "level": "exact",
        "method": method,
        "calls": calls,
        "specifications": specifications,
        "calls_to_match": {"64": [matched, None, None]},
    }


def test_design_quality_is_a_table_and_a_picture_a_class(readme: ModuleType) -> None:
    result = {
        "commit": "0123456789",
        "machines": ["32 cores of Some CPU"],
        "entries": [
            entry("generator", 64, 0.98),
            entry("retrieval", 64, 0.9),
            entry("cma-es", 640, 0.25, specifications=57),
            entry("botorch", 640, 1.0, specifications=4),
            entry("cma-es", 6400, 0.75, specifications=30),
            {**entry("retrieval", 64, 0.9), "class": "pa"},
        ],
        "comparisons": [
            against("retrieval", 64, None),
            against("cma-es", 640, None),
            against("cma-es", 6400, 4096.0),
            against("botorch", 640, 30.0, specifications=4),
            against("botorch", 6400, 2000.0),
            against("training topologies", 64, 40.0),
        ],
    }
    assert "\n".join(readme.design_quality(result)) == (
        "Held-out specifications met (`python benchmarks/design_quality.py` at commit `0123456789`, on 32 cores of Some CPU): "
        "GenRF within 1, 8, 16 and 64 SPICE calls, retrieval within as many, CMA-ES and BoTorch from scratch within ten times "
        "as many, CMA-ES also within a hundred times, with 95 % intervals. The last column says which methods reach GenRF's "
        "last figure at all, and after how many calls.\n"
        "\n"
        "| class | level | specifications | GenRF | retrieval | CMA-ES, 10 times | BoTorch, 10 times | CMA-ES, 100 times | "
        "matched by |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
        "| lna | exact | 200 | 88 / 93 / 98 % (96 to 99) | 90 % (88 to 91) | 25 % (23 to 26, of 57) | too few tried (4) | "
        "75 % (73 to 76, of 30) | CMA-ES after 4,096, BoTorch after 2,000 |\n"
        "\n"
        "![Specifications of class lna met against SPICE calls](images/design_quality_lna.png)\n"
        "\n"
        "![Specifications of class pa met against SPICE calls](images/design_quality_pa.png)"
    )


def test_what_the_gan_is_worth_is_a_table_where_the_generator_was_tried_without_it(readme: ModuleType) -> None:
    tried = [
        entry("generator", 64, 0.98),
        entry("precedents alone", 64, 0.95),
        entry("without precedents", 64, 0.9, specifications=60),
        {**entry("generator", 64, 0.9), "class": "pa"},
    ]
    alone = {"method": "precedents alone", "specifications": 1200, "generator_success": 0.98, "success": 0.951}
    overall = [alone | {"difference_interval": [0.0125, 0.045]}, {**alone, "method": "retrieval"}]
    result = {"commit": "0", "machines": ["a CPU"], "entries": tried, "comparisons": [], "overall": overall}
    lines = readme.design_quality(result)
    at = next(
        number for number, line in enumerate(lines) if line.startswith("| class | level | GenRF | precedents alone")
    )
    assert lines[at + 2] == (
        "| lna | exact | 98 % (96 to 99) | 95 % (93 to 96) | not tried | 90 % (88 to 91, of 60) | not tried |"
    )
    assert not lines[at + 3]
    assert lines[at + 4 : at + 8] == [
        "All classes and levels that were tried together:",
        "",
        "- precedents alone: 95.1 % of 1,200 specifications, of which GenRF meets 98.0 % (+2.9 points, +1.2 to +4.5)",
        "",
    ]


def test_the_readme_and_the_page_of_results_are_up_to_date_with_the_committed_results(readme: ModuleType) -> None:
    assert readme.main(["--check"]) == 0


def test_the_readmes_table_weighs_success_by_specifications_and_names_the_worst_difference(
    readme: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = [
        {**entry("generator", 64, 0.9), "level": level, "class": name, "specifications": count}
        for level in ("exact", "tightened", "frontier")
        for name, count in (("lna", 300), ("filter", 100))
    ]
    for one in tried[::2]:
        one["success_at_64"] = 0.5
    tried += [{**one, "method": "predicted", "success_at_64": 0.25} for one in tried]
    compared = [{"compared": 1000, "gain_db": [1e-6, gain], "nf_db": [1e-6, 0.003]} for gain in (0.002, 0.011)]
    results = {
        "descent": {"commit": "0123456789abcdef", "machines": ["a CPU"], "entries": tried},
        "batched": {"us": {"batched": 100.0, "pool": 4000.0, "process": 12500.0}},
        "batched_cuda": {"circuits_per_s": 900_000, "kernel_circuits_per_s": 4_000_000, "gpu": "a GPU"},
        "agreement": {"tables": {"random": {"27 C": compared[0], "85 C": compared[1]}}},
        "generate": {"warm_median_s": 0.391, "first_median_wall_s": 3.4, "median_wall_s": 3.8},
        "serving": {
            "earlier_commit": "abcdef0",
            "today": {"callers": [{"callers": 1}, {"callers": 8, "designs_per_s": 6.04, "p95_s": 3.0}]},
            "earlier": {"callers": [{"callers": 8, "designs_per_s": 1.5, "p95_s": 7.0}]},
            "all_calls": {"callers": [{"designs_per_s": 2.0}]},
        },
        "nights": {
            "nights": 2,
            **{policy: [{"share": 0.25}, {"share": 0.9}, {"share": last}]
               for policy, last in (("retrained", 0.6), ("always", 0.5), ("fixed", 0.2))},
        },
    }  # fmt: skip
    monkeypatch.setattr(readme, "_read", results.__getitem__)
    lines = readme.headline().splitlines()
    assert lines[2] == (
        "| 400 fresh specifications of LNAs and filters, every bound as the held-out circuit has it | 81 % met by the first "
        "SPICE call, 60 % within 64 | 81 % and 25 % by predictions instead of descents |"
    )
    assert "| 10,000 | 250 by ngspice in worker processes, 80 by one `ngspice -b` a circuit |" in lines[6]
    assert "2,000 circuits" in lines[8]
    assert "gain 0.011 dB, noise figure 0.003 dB" in lines[8]
    assert "| 6.0, 95 % within 3 s | 1.5, 95 % within 7 s at commit `abcdef0`, which spends every call; 2.0 if" in lines[9]
    assert "over 2 nights | 25 % to 60 % by nights" in lines[10]
    assert "| 25 % to 50 % promoting whatever was trained, 25 % to 20 % never retraining |" in lines[10]
    assert [line.startswith("|") for line in lines[:12]] == [True] * 11 + [False]
    assert "`0123456789`" in lines[-1]


def test_the_check_names_every_file_that_is_out_of_date(
    readme: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n")
    monkeypatch.setattr(readme, "ROOT", tmp_path)
    assert readme.main(["--check"]) == 1
    assert [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()] == ["README.md", "docs/results.md"]
    assert readme.main([]) == 0
    assert readme.main(["--check"]) == 0
    text = (tmp_path / "README.md").read_text()
    assert text.startswith(f"before\n{readme.BEGIN}\n| what |")
    assert text.endswith(f"{readme.END}\nafter\n")
