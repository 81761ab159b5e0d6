"""The RLDG paper (arXiv 2412.09858), reproduced: one module per table or figure, run as one grid of shared cells.

    python -m pipelines.paper NAME|all [--quick] [--station FILE] [--engine ray] [--seeds 0 1 2]
    python -m pipelines.paper.render

A **module** (`MODULES`) has

- a docstring with paragraphs that begin "Claim:", "Paper:", "Run:", "Takes:" (on two cores, full and quick, and on a
  GPU as far as it is known) and "Verdict:" (the rule, in words);
- `TITLE`, a line with the figure or table of the paper;
- `CLAIMS`, a tuple of `findings.Claim`: what the paper says and reports, and the rule by which it is judged, fixed
  before the run (`verdict.Exceeds`, `AtLeast`, `Matches`);
- `cells(plan)`: all cells whose files it reads;
- `findings(plan)`: from the finished cells to `findings.Findings` (an `Outcome` per claim, `Table`s, `Figure`s, notes).
  It makes the same cells again, which costs nothing, to know their folders, and measures with `measure`:
  `success`, `difference`, `steps`, `ratio`, each with an interval that takes scenes and training seeds into account.

A **cell** (`cell.Cell`) is one verb, such as `rldg.cli.collect.Args(...)` or the `Args` of a module here that has a
`main`, in a folder `runs/paper/KIND/HASH` named by all that decides what comes out: its arguments, the content of its
tasks, and, through their folders' names, the cells that it needs. Modules that ask `plan.Plan` for the same specialist,
data set, generalist or evaluation get the same cell, and it is run once. `KIND/HASH.json` is written when it has ended
well, `KIND/HASH.log` has what it printed.

The **grid** (`grid.run_grid`) runs what is unfinished, a cell as soon as those it needs are there, one per core or on
Ray, under one progress bar with a forecast from the pace of finished cells of the same kind. It can be killed at any
point; the same command goes on. A cell that fails stops only those that need it.

The **results** (`results`) are one JSON file per module, `docs/paper/NAME.json`, with every number, interval, verdict
and the provenance of every cell. `render` makes all that people read of these files alone.
"""

MODULES = (
    "connectors",
    "sample_efficiency",
    "cycle_time",
    "action_distribution",
    "ablation",
    "bottleneck",
    "pick_place",
    "fmb_insertion",
    "generalisation",
    "operator",
    "beyond",
)
