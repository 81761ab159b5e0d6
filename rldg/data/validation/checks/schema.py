"""Whether `features.json` promises what a data set of ours holds."""

from collections.abc import Iterator
from dataclasses import MISSING
from dataclasses import fields as members
from pathlib import Path

from rldg.data.description import FEATURES, read_features
from rldg.data.example import Field, flat_fields
from rldg.data.validation.expected import CONTRACT, EXPECTED
from rldg.data.validation.finding import Finding, Place
from rldg.data.validation.subject import METADATA, STEPS
from rldg.errors import DatasetError
from rldg.rollout.episode import EpisodeMetadata

# Those without a default: newer versions add fields, and older data sets are sound without them.
_METADATA = [member.name for member in members(EpisodeMetadata) if member.default is MISSING]


def check_schema(folder: Path) -> Iterator[Finding]:
    """Every field of the contract, in its type and shape. Of another maker's data set only that it is RLDS."""
    place = Place(file=FEATURES)
    try:
        fields = flat_fields(read_features(folder))
    except DatasetError as error:
        yield Finding("features_broken", str(error).rstrip("."), f"a {FEATURES} as TFDS writes it", place)
        return
    if not any(name.startswith(STEPS) for name in fields):
        yield Finding("field_missing", "no field lies under 'steps'", "RLDS: steps in episodes", place)
    if CONTRACT not in fields:
        return
    for name, expected in EXPECTED.items():
        if name not in fields:
            yield Finding("field_missing", f"'{name}' is missing", _described(expected), place)
        elif fields[name] != expected:
            yield Finding("field_type", f"'{name}' is {_described(fields[name])}", _described(expected), place)
    for name in _METADATA:
        if METADATA + name not in fields:
            yield Finding("field_missing", f"'{METADATA}{name}' is missing", "where every episode came from", place)
    if not any(name.startswith(f"{STEPS}observation/") and field.kind == "image" for name, field in fields.items()):
        yield Finding("field_missing", "there is no camera", "a picture under 'steps/observation'", place, "warning")


def _described(field: Field) -> str:
    return f"{field.kind} {field.dtype} {field.shape}" if field.kind == "number" else field.kind
