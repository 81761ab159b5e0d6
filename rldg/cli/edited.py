"""What the verbs that edit data sets share: where the result goes, and what is said of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rldg.cli.output import emit


@dataclass(frozen=True, kw_only=True)
class EditArgs:
    """Arguments of every verb that gives a new data set."""

    # Folder of the new data set; one that ends in NAME/1.0.0 can also be found by name, see docs/data.md.
    out: Path
    # Replace what another run left in that folder.
    overwrite: bool = False
    # One line of JSON on standard output.
    json: bool = False


def tell(result: Mapping[str, Any], args: EditArgs) -> int:
    """Prints what an edit gave and returns the exit status 0."""
    splits = ", ".join(f"{split} {number}" for split, number in result["splits"].items())
    changed = f"{result['changed']} of them relabelled, " if result["changed"] else ""
    text = (
        f"{result['episodes']} of {result['out_of']} episodes ({splits}), {changed}{result['successes']} successful, "
        f"{result['steps']} steps; {args.out}"
    )
    emit({"out": args.out, **result}, args.json, text)
    return 0
