"""Runs experiments of the RLDG paper in simulation, or on a real station, and says of each claim whether it holds here.

    python -m pipelines.paper connectors
    python -m pipelines.paper all --quick
    python -m pipelines.paper connectors cycle-time --station stations/lab.yaml --teleoperator spacemouse

What has finished is kept (`--root`), so that the same command goes on after a kill, and experiments share what they
have in common. Results go to docs/paper from a full run in simulation, else to `results` beside the cells.
"""

import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

import tyro

from pipelines.generalists import Generalist
from pipelines.paper import MODULES
from rldg.errors import RldgError, UnknownNameError, UsageError
from rldg.tasks import load_station

COMMITTED = Path("docs/paper")


@dataclass(frozen=True)
class Args:
    """Arguments of the experiments."""

    # Names of experiments, or all.
    names: tyro.conf.Positional[tuple[str, ...]]
    # A reduced version, in minutes: fewer connectors, one seed, one generalist, short trainings, few scenes.
    quick: bool = False
    # Seeds of everything: specialists, data and generalists are made once per seed; by default 0 1 2, quick 0.
    seeds: tuple[int, ...] = ()
    # Which generalists; by default both, quick octo.
    generalists: tuple[Generalist, ...] = ()
    # Where everything acts: a station's name, or the path of its YAML (docs/station.md).
    station: str = "sim"
    # Who teleoperates: teleoperator (simulated), or a person's spacemouse, gamepad, keyboard or browser.
    teleoperator: str = "teleoperator"
    # Folder of the cells.
    root: Path = Path("runs/paper")
    # Folder of the results; see above.
    results: Path | None = None
    # Cells that run side by side; 0: one per processor, and one in all on a physical station.
    lanes: int = 0
    # Where cells run: on this machine, or on a Ray cluster whose machines all see --root under the same path.
    engine: Literal["local", "ray"] = "local"
    # The Ray cluster's head, HOST:6379; by default RAY_ADDRESS, else the cluster on this machine.
    ray_address: str = ""


def main(args: Args) -> int:
    """Exit status 0 when all experiments have been run, whatever came out of them."""
    names = _chosen(args.names)
    if args.lanes < 0:
        raise UsageError("--lanes takes no negative number.")
    physical = load_station(args.station).backend != "mujoco"
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # lanes share the cores
    from pipelines.paper.grid import run_grid
    from pipelines.paper.plan import Plan
    from pipelines.paper.render import render
    from pipelines.paper.results import write_results
    from rldg.engines import Engine

    plan = Plan(
        root=args.root,
        quick=args.quick,
        seeds=args.seeds or ((0,) if args.quick else (0, 1, 2)),
        generalists=args.generalists or (("octo",) if args.quick else ("octo", "openvla")),
        station=args.station,
        teleoperator=args.teleoperator,
    )
    if len(set(plan.seeds)) < len(plan.seeds) or min(plan.seeds) < 0:
        raise UsageError("--seeds takes different numbers from 0 on.")
    modules = {name: import_module(f"pipelines.paper.{name}") for name in names}
    cells = {name: tuple(module.cells(plan)) for name, module in modules.items()}
    engine: Engine | None = None
    lanes = args.lanes or (1 if physical else os.cpu_count() or 1)
    if args.engine == "ray":
        from rldg.ray_engine import RayEngine

        lanes = args.lanes or RayEngine(address=args.ray_address).workers
        engine = RayEngine(1, args.ray_address)  # of each cell
    run_grid(plan.root, [cell for own in cells.values() for cell in own], lanes, engine)
    ordinary = not args.quick and args.station == "sim" and args.teleoperator == "teleoperator"
    out = args.results or (COMMITTED if ordinary else plan.root / "results")
    for name, module in modules.items():
        write_results(out, module, plan, cells[name], module.findings(plan))
    render(out)
    return 0


def _chosen(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of modules, in their usual order."""
    wanted = {name.replace("-", "_") for name in names}
    for name in wanted - {"all"}:
        if name not in MODULES:
            raise UnknownNameError("experiment", name, ("all", *MODULES))
    if not wanted:
        raise UsageError(f"Name at least one experiment: all, {', '.join(MODULES)}.")
    return MODULES if "all" in wanted else tuple(name for name in MODULES if name in wanted)


if __name__ == "__main__":
    try:
        raise SystemExit(main(tyro.cli(Args, description=__doc__)))
    except RldgError as error:
        raise SystemExit(f"rldg: {error}") from None
