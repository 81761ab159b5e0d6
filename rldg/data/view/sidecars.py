"""Files beside the episodes that say more about them: where the data set came from, and what validation found."""

import json
from pathlib import Path
from typing import Any

FINDINGS = "validation.json"
DOCUMENTS = ("lineage.json",)


def read_documents(folder: Path) -> dict[str, Any]:
    """Name -> content of the documents about the data set's origin that lie in `folder`."""
    return {name: _content(folder / name) for name in DOCUMENTS if (folder / name).exists()}


def read_findings(folder: Path, split: str) -> list[dict[str, Any]]:
    """What `validation.json` in `folder` says of a split; nothing without it.

    A finding holds `check`, `severity`, `episode` (its number in the split, or None for the whole data set), `step` (or
    None) and `message`; and, where they are known, `file` and `record`, which tell the episode where broken records
    make its number doubtful. One with another `split` is left out. The file is a list of them, or an object with that
    list under "findings", such as `rldg data validate --json` prints: `kind`, `what` and `right` are read as well.
    """
    if not (folder / FINDINGS).exists():
        return []
    content = _content(folder / FINDINGS)
    listed = content.get("findings") if isinstance(content, dict) else content
    if not isinstance(listed, list):
        listed = [{"check": FINDINGS, "message": f"holds no list of findings: {content!s:.200}"}]
    return [_finding(item) for item in listed if isinstance(item, dict) and item.get("split", split) == split]


def _finding(item: dict[str, Any]) -> dict[str, Any]:
    said = f"{item['what']}; right: {item.get('right', '')}" if "what" in item else ""
    return {
        "check": str(item.get("check", item.get("kind", ""))),
        "severity": str(item.get("severity", "error")),
        "episode": _number(item.get("episode")),
        "step": _number(item.get("step")),
        "file": str(item.get("file", "")),
        "record": _number(item.get("record")),
        "message": str(item.get("message", said)),
    }


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _content(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=str)  # strict JSON knows no NaN
    except (OSError, ValueError) as error:
        return f"cannot be read ({error})"
