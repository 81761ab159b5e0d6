"""How results read: quantities, claims and tables as text, Markdown and LaTeX."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NOT_RUN = "not run yet"
UNKNOWN = "-"
# Per unit: factor, format of the value and of the interval's ends, word after it.
_UNITS = {
    "share": (100, "{:.0f}", " %"),
    "points": (100, "{:+.0f}", " points"),
    "steps": (1, "{:.1f}", " steps"),
    "seconds": (1, "{:.1f}", " s"),
    "ratio": (1, "{:.2f}", " times"),
    "number": (1, "{:.3g}", ""),
}
_LATEX = {"\\": r"\textbackslash{}", **{sign: f"\\{sign}" for sign in "&%$#_{}"}, "~": r"\textasciitilde{}"}


def quantity(found: Mapping[str, Any] | None) -> str:
    """A quantity of the JSON with its 95 % interval: "92 % [88, 95]"."""
    if found is None or found["value"] is None:
        return UNKNOWN
    factor, form, word = _UNITS[found["unit"]]
    ends = [form.format(factor * end) if end is not None else "?" for end in (found["low"], found["high"])]
    return f"{form.format(factor * found['value'])}{word} [{', '.join(ends)}]"


def basis(found: Mapping[str, Any]) -> str:
    """What a quantity rests on: "272 of 300 trials, 3 seeds"."""
    count = f"{found['count']} {found['of']}"
    if found["successes"] is not None:
        count = f"{found['successes']} of {count}"
    return f"{count}, {found['runs']} seed{'s' if found['runs'] != 1 else ''}"


def entry(value: Any) -> str:
    """An entry of a table."""
    if isinstance(value, Mapping):
        return quantity(value)
    return UNKNOWN if value is None else str(value)


def paper_says(claim: Mapping[str, Any]) -> str:
    """What the paper reports; an asterisk marks what is known from summaries by others only."""
    return f"{claim['paper']} *" if claim["second_hand"] else claim["paper"]


def verdict(outcome: Mapping[str, Any], preliminary: bool) -> str:
    """The verdict with its reservation: arms that still rose, a run that was too small to count."""
    found = outcome["verdict"]
    if outcome["rising"]:
        found += f": {' and '.join(outcome['rising'])} still rose"
    return f"{found} (preliminary)" if preliminary else found


def markdown(columns: Iterable[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [tuple(columns), *(tuple(entry(value).replace("|", "\\|") for value in row) for row in rows)]
    lines.insert(1, ("---",) * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |".replace("| --- |", "|---|").replace(" --- |", "---|") for line in lines)


def latex(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A LaTeX table (package booktabs)."""
    head, *body = ([_escaped(entry(value)) for value in row] for row in [columns, *rows])
    lines = [f"  {' & '.join(row)} \\\\" for row in body]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escaped(title)}}}",
            rf"\begin{{tabular}}{{{'l' * len(head)}}}",
            r"  \toprule",
            f"  {' & '.join(head)} \\\\",
            r"  \midrule",
            *lines,
            r"  \bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text)
