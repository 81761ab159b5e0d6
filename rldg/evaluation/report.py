"""One self-contained HTML page about a folder of runs: nothing on it is fetched from anywhere."""

from pathlib import Path
from typing import Any

from markupsafe import Markup

from rldg import __version__
from rldg.evaluation import figures, sections
from rldg.evaluation.findings import DATA, GENERALISTS, Findings, gather
from rldg.evaluation.page import data_uri, write_page


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Writes the page about `folder` to `out`, by default `report.html` in the folder, and returns its path.

    Raises:
        DatasetError: when the folder holds no run.
    """
    out = out or folder / "report.html"
    write_page(out, "rldg.evaluation", "report.html.j2", _content(gather(folder)))
    return out


def _content(findings: Findings) -> dict[str, Any]:
    group = sections.main_group(findings)
    arms = [arm for one in findings.arms if (arm := sections.arm_of(findings, one.key, group))]
    rates = [(arm, found) for arm in arms if (found := sections.rate(arm))]
    times = [(arm.key, arm.label, seconds) for arm in arms if (seconds := sections.success_seconds(arm))]
    films = sections.films(findings)
    actions = {key: findings.actions[key] for key in DATA if key in findings.actions}
    comparison = sections.comparison(findings, group)
    missing = sections.missing(findings, [
        (findings.specialist, "the specialist's learning curve (a training run with metrics.jsonl)"),
        (findings.curves, "the generalists' success against updates (curves.json)"),
        (rates, "evaluations (summary.json and trials.jsonl)"),
        (comparison, "the paired difference (evaluations named rl and teleoperator on the same scenes)"),
        (len(actions) == len(DATA), "both action distributions (data sets named rl and teleoperator)"),
        (films, "videos (evaluations with cameras)"),
    ])  # fmt: skip
    kinds = {one.get("generalist") for one in findings.summary.get("generalists", [])}
    return {
        "folder": findings.folder.resolve().name,
        "version": __version__,
        "tasks": sorted({task for arm in arms for task in arm.tasks}),
        "group": group,
        "rates": rates,
        "comparison": comparison,
        "points": sections.points,
        "verdict": sections.verdict,
        "generalists": {one.get("data"): one for one in findings.summary.get("generalists", [])},
        "kind": " and ".join(GENERALISTS[kind] for kind in GENERALISTS if kind in kinds) or "a generalist policy",
        "wall_seconds": findings.summary.get("wall_seconds"),
        "specialist": findings.summary.get("specialist"),
        "paper_rows": sections.paper_rows(findings) if group else [],
        "task_rows": sections.task_rows(findings),
        "actions": actions,
        "action_labels": DATA,
        "action_distance": sections.action_distance(findings),
        "films": [(film, data_uri(film.path.read_bytes(), "video/mp4")) for film in films],
        "stages": sections.stage_rows(findings),
        "missing": missing,
        "figures": {name: Markup(svg) for name, svg in _figures(findings, rates, times, actions).items()},
    }


def _figures(findings: Findings, rates: list, times: list, actions: dict) -> dict[str, str]:
    drawn = {}
    if rates:
        rows = [(arm.key, arm.label, found.share, (found.low, found.high)) for arm, found in rates]
        drawn["rates"] = figures.success_rates(rows)
    if findings.specialist:
        drawn["specialist"] = figures.specialist_curve(findings.specialist)
    if findings.curves:
        drawn["curves"] = figures.generalist_curves(findings.curves, DATA)
    if times:
        drawn["times"] = figures.cycle_times(times)
    if actions:
        drawn["actions"] = figures.action_squares(actions, DATA)
    return drawn
