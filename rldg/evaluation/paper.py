"""What the RLDG paper reports on connector insertion (arXiv 2412.09858), beside which the report sets its own numbers.

Everything here was measured by the paper's authors on a real Franka arm, with people as teleoperators and public
OpenVLA and Octo weights as the start. Numbers that are known only from summaries by others are marked second-hand.
"""

from dataclasses import dataclass

# Fig. 3: generalists are trained on the first three connectors and tried on the other four as well.
SEEN = ("usb_a_insertion", "ethernet_insertion", "vga_insertion")
UNSEEN = ("usb_c_insertion", "hdmi_insertion", "displayport_insertion", "xlr_insertion")


@dataclass(frozen=True)
class Row:
    """One line of the comparison: who was tried on what, and what the paper says of it."""

    arm: str  # "specialist", "rl", "teleoperator" or "difference"
    group: str  # "seen" or "unseen"
    title: str
    octo: str  # "" where nothing was found
    openvla: str = ""
    second_hand: bool = False


ROWS = (
    Row("specialist", "seen", "RL specialist, seen connectors", "consistently 100 %"),
    Row("rl", "seen", "Generalist on RL data, seen connectors", ""),
    Row("teleoperator", "seen", "Generalist on teleoperated data, seen connectors", ""),
    Row("difference", "seen", "Difference, seen connectors", "+37 points", "+23 points"),
    Row("rl", "unseen", "Generalist on RL data, unseen connectors", "50/80", "73/80", second_hand=True),
    Row("teleoperator", "unseen", "Generalist on teleoperated data, unseen connectors", "", "less than half of that"),
    Row("difference", "unseen", "Difference, unseen connectors", "", "more than twice as many"),
)


def group_of(task: str) -> str:
    """Whether the paper has a task as "seen" or "unseen", variants included; "" for one that it does not have."""
    for group, tasks in (("seen", SEEN), ("unseen", UNSEEN)):
        if task.startswith(tasks):
            return group
    return ""
