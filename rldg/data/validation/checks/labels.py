"""Whether an episode says in words what was done, by whom, when, and from what."""

from collections.abc import Iterator
from datetime import datetime

from rldg.data.validation.finding import Finding
from rldg.data.validation.subject import Subject

REPLACEMENT = "\ufffd"  # what decoding put in the place of bytes that are not UTF-8
NEEDED = ("episode_id", "task", "task_hash", "policy_kind", "judged_by")
EXPECTED = ("code_version", "station", "backend")


def check_instruction(subject: Subject) -> Iterator[Finding]:
    """An instruction on every step, legible, and one per episode."""
    texts = subject.steps["language_instruction"]
    empty = [step for step, text in enumerate(texts) if not text.strip()]
    if empty:
        what = f"the instruction is empty on {len(empty)} of {len(texts)} steps"
        # Other makers leave part of their episodes without words on purpose.
        severity = "fault" if "action_contract" in subject.metadata else "warning"
        yield Finding("instruction_empty", what, "the task in words on every step", subject.at(empty[0]), severity)
    elif len(set(texts)) > 1:
        step = next(step for step, text in enumerate(texts) if text != texts[0])
        what = f"the instruction changes from {texts[0][:60]!r} to {texts[step][:60]!r}"
        yield Finding("instruction_changes", what, "one instruction per episode", subject.at(step))
    elif REPLACEMENT in texts[0]:
        yield Finding("instruction_illegible", f"the instruction reads {texts[0][:60]!r}", "UTF-8", subject.place)


def check_metadata(subject: Subject) -> Iterator[Finding]:
    """Provenance: nothing empty that says where the episode came from."""
    metadata = subject.metadata
    for name in (*NEEDED, *EXPECTED):
        if not str(metadata.get(name, "")).strip():
            severity = "fault" if name in NEEDED else "warning"
            yield Finding(
                "metadata_missing", f"'{name}' is empty", "where the episode came from", subject.place, severity
            )
    if metadata["seed"] < 0:
        what = f"the seed is {metadata['seed']}"
        yield Finding("metadata_missing", what, "a seed from 0 on, which replays the scene", subject.place)
    try:
        aware = datetime.fromisoformat(metadata["time"]).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        what = f"the time is {metadata['time']!r}"
        yield Finding(
            "time_missing", what, "ISO 8601 with a time zone, as 2025-01-31T12:00:00+00:00", subject.place, "warning"
        )
