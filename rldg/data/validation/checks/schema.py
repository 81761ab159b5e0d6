"""Whether `features.json` promises what a data set of ours holds."""

from collections.abc import Iterator
from pathlib import Path

from rldg.data.description import FEATURES, read_features
from rldg.data.example import Field, flat_fields
from rldg.data.validation.expected import CONTRACT, EXPECTED, OPTIONAL
from rldg.data.validation.finding import Finding, Place
from rldg.data.validation.subject import STEPS
from rldg.errors import DatasetError


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
            if name not in OPTIONAL:
                yield Finding("field_missing", f"'{name}' is missing", _described(expected), place)
        elif fields[name] != expected:
            yield Finding("field_type", f"'{name}' is {_described(fields[name])}", _described(expected), place)
    if not any(name.startswith(f"{STEPS}observation/") and field.kind == "image" for name, field in fields.items()):
        yield Finding("field_missing", "there is no camera", "a picture under 'steps/observation'", place, "warning")


def _described(field: Field) -> str:
    return f"{field.kind} {field.dtype} {field.shape}" if field.kind == "number" else field.kind
