"""What a user may choose when a data set is described to the loaders of Octo and OpenVLA."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Choices:
    """Columns, cameras and place; what is left empty is found by `rldg.data.registration.entry.register`."""

    # Column of the actions; by default `action`, else `eef_action`, else `base_action`.
    action: str = ""
    # Column of the state within the observation; by default `state`, if there is one.
    state: str = ""
    # Column of the instructions; by default `language_instruction`, else one whose name ends in `instruction`.
    instruction: str = ""
    # The one camera that OpenVLA sees, e.g. image_wrist_1; by default, as in RLDG, the first on the wrist if any.
    single: str = ""
    # Octo's first camera; by default the first that is not on the wrist, else the first.
    primary: str = ""
    # Octo's second camera; by default the first (other) one on the wrist.
    wrist: str = ""
    # What the loaders are given as their data directory, word for word; by default what holds NAME/VERSION.
    data_dir: str = ""


NOTHING_CHOSEN = Choices()
