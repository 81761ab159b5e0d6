"""What people read of the experiments is made of the committed JSON, to the letter, and of nothing else."""

import json
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipelines.paper import MODULES, __main__, render
from pipelines.paper.cell import HERE, make_cell
from pipelines.paper.findings import Claim, Figure, Findings, Outcome, Quantity, Series, Table
from pipelines.paper.grid import run_grid
from pipelines.paper.plan import Plan
from pipelines.paper.results import read_results, write_results
from pipelines.paper.verdict import Exceeds, Verdict
from rldg.errors import DatasetError, UnknownNameError, UsageError
from tests import toy_verb

ROOT = Path(__file__).parents[1]
HERE_IS = Quantity(0.19, 0.05, 0.29, "points", 150, "scenes", 3)
CLAIM = Claim("octo_seen", "Octo does better on RL data.", "+37 points", Exceeds(), second_hand=True)


def planted(root: Path, name: str = "connectors", **plan: Any) -> Path:
    """Results of an experiment whose findings are made up, in a folder."""
    module = ModuleType(f"pipelines.paper.{name}", "Connectors.\n\nClaim: made up.")
    module.__dict__["TITLE"] = "Connectors (Fig. 4)"
    cell = make_cell(root / "cells", "toy", toy_verb.Args(1, HERE))
    run_grid(root / "cells", [cell], 1)
    rate = Quantity(0.906667, 0.87, 0.93, "share", 300, "trials", 3, 272)
    unknown = Quantity(float("nan"), float("-inf"), float("inf"), "steps", 0)
    series = [Series("Octo", [0, 1], [0.9, 0.5], [0.8, 0.4], [0.95, 0.6], "rl"), Series("b", [0, 1], [0.1, 0.2])]
    found = Findings(
        [Outcome(CLAIM, HERE_IS)],
        [Table("Rates & times_100 %", ("policy", "seen"), [("Octo", rate), ("OpenVLA", None), ("x", unknown)])],
        [
            Figure("rates", "Rates", "", "", series, "points", ("seen", "unseen"), share=True),
            Figure("sizes", "Sizes", "episodes", "", [Series("a", [15, 45], [0.2, 0.9])], x_log=True),
            Figure("moves", "Moves", "x", "y", [Series("a", [-0.5, 0.5], [-1, 1], arm="teleoperator")], "square"),
        ],
        ["A note."],
    )
    return write_results(root / "results", module, Plan(root=root / "cells", **plan), [cell], found)


def test_every_number_that_is_shown_is_the_json_s(tmp_path: Path) -> None:
    path = planted(tmp_path)
    render.render(path.parent)
    for shown in ("connectors.md", "connectors.tex", "index.html"):
        text = (path.parent / shown).read_text(encoding="utf-8").replace("\\%", "%")
        for number in ("+19 points [+5, +29]", "91 % [87, 93]", "+37 points *", "agrees"):
            assert number in text, (shown, number)
    before = (path.parent / "index.html").read_text(encoding="utf-8")
    assert "not run yet" in before  # of the other experiments
    content = json.loads(path.read_text(encoding="utf-8"))
    content["outcomes"][0]["here"]["value"] = 0.42
    path.write_text(json.dumps(content), encoding="utf-8")
    render.render(path.parent)
    assert "+42 points" in (path.parent / "index.html").read_text(encoding="utf-8")
    for figure in ("rates", "sizes", "moves"):
        assert (path.parent / f"connectors_{figure}.png").read_bytes().startswith(b"\x89PNG")
        assert (path.parent / f"connectors_{figure}.svg").read_text(encoding="utf-8").rstrip().endswith("</svg>")


def test_results_say_where_they_come_from(tmp_path: Path) -> None:
    content = json.loads(planted(tmp_path).read_text(encoding="utf-8"))
    (record,) = content["provenance"]["cells"].values()
    assert record["verb"] == "tests.toy_verb"
    assert record["args"]["number"] == 1
    assert record["machine"]["cores"] >= 1 and record["code_version"] and record["packages"]["numpy"]
    assert content["tables"][0]["rows"][2][1]["value"] is None  # what is not a number is null
    assert not content["preliminary"]


@pytest.mark.parametrize("plan", [{"quick": True}, {"seeds": (0, 1)}])
def test_a_small_run_is_preliminary_and_shown_as_that(tmp_path: Path, plan: dict) -> None:
    path = planted(tmp_path, **plan)
    results = read_results(path.parent, MODULES)
    assert "agrees (preliminary)" in render.module_markdown(results["connectors"])


def test_an_arm_that_still_rises_makes_a_claim_inconclusive() -> None:
    assert Outcome(CLAIM, HERE_IS).verdict is Verdict.AGREES
    assert Outcome(CLAIM, HERE_IS, rising=("RL data",)).verdict is Verdict.INCONCLUSIVE


def test_committed_pages_are_what_the_committed_results_make(tmp_path: Path) -> None:
    results = read_results(ROOT / render.COMMITTED, MODULES)
    for name in results:
        planted_copy = ROOT / render.COMMITTED / f"{name}.json"
        (tmp_path / planted_copy.name).write_bytes(planted_copy.read_bytes())
    render.render(tmp_path)
    for page in ["index.html", *(f"{name}.{kind}" for name in results for kind in ("md", "tex"))]:
        assert (tmp_path / page).read_bytes() == (ROOT / render.COMMITTED / page).read_bytes(), page
    table = render.claims_markdown(results)
    for page in (ROOT / page for page in render.PAGES):
        text = page.read_text(encoding="utf-8")
        assert table in text or render.BEGIN not in text, page
    assert render.BEGIN in (ROOT / "docs/paper.md").read_text(encoding="utf-8")


def test_broken_results_are_refused(tmp_path: Path) -> None:
    (tmp_path / "connectors.json").write_text('{"module": ')
    with pytest.raises(DatasetError, match=r"connectors\.json is not valid JSON"):
        render.render(tmp_path)


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({"names": ("conectors",)}, "Did you mean 'connectors'"),
        ({"names": ()}, "Name at least one"),
        ({"names": ("cycle-time",), "seeds": (1, 1)}, "different numbers"),
        ({"names": ("cycle-time",), "lanes": -1}, "negative"),
        ({"names": ("cycle-time",), "station": "nowhere"}, "Unknown station"),
    ],
)
def test_wrong_commands_are_refused_in_a_sentence(tmp_path: Path, args: dict, error: str) -> None:
    with pytest.raises((UsageError, UnknownNameError), match=error):
        __main__.main(__main__.Args(**args, root=tmp_path))


def test_dashes_and_all_name_experiments(tmp_path: Path) -> None:
    assert __main__._chosen(("cycle-time", "connectors")) == ("connectors", "cycle_time")
    assert __main__._chosen(("all",)) == MODULES


def test_a_station_changes_what_acts_on_it(tmp_path: Path) -> None:
    station = tmp_path / "lab.yaml"
    station.write_text("extends: sim\nname: lab\n", encoding="utf-8")
    module = import_module("pipelines.paper.connectors")
    here, there = (Plan(tmp_path, quick=True, seeds=(0,), station=where) for where in ("sim", str(station)))
    assert {cell.folder for cell in module.cells(here)}.isdisjoint(cell.folder for cell in module.cells(there))
    before = module.cells(there)[0].folder
    station.write_text("extends: sim\nname: lab\nlift: 0.01\n", encoding="utf-8")
    assert module.cells(Plan(**asdict(there)))[0].folder != before
