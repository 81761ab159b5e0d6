"""Success and cycle time of the scripted expert and the simulated teleoperators, as a Markdown table.

python benchmarks/policies.py --episodes 100 --workers 2
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import tyro

from rldg.engines import make_engine
from rldg.workers import EpisodeRunner, map_episodes

SEEN = ("usb_a_insertion", "ethernet_insertion", "vga_insertion")
OTHERS = ("fmb_insertion", "fmb_assembly", "usb_pickup_insertion", "pick_and_place")
UNSEEN = ("usb_c_insertion", "hdmi_insertion", "displayport_insertion", "xlr_insertion")


@dataclass(frozen=True)
class Args:
    """What to measure."""

    tasks: tuple[str, ...] = (*SEEN, *(f"{name}_tight" for name in SEEN), *UNSEEN, *OTHERS)
    policies: tuple[str, ...] = ("expert", "teleoperator", "teleoperator:average", "teleoperator:clumsy")
    episodes: int = 100
    workers: int = 2
    base_seed: int = 0


def main(args: Args) -> None:
    """Prints one row per policy and task."""
    print("| policy | task | successes | steps, median | steps, 10-90 % | failures |\n|---|---|---|---|---|---|")
    for policy in args.policies:
        for task in args.tasks:
            runner = EpisodeRunner(task, policy, base_seed=args.base_seed, cameras=False)
            engine = make_engine(workers=args.workers)
            episodes = [episode for _, episode in map_episodes(runner, range(args.episodes), engine)]
            steps = [len(episode) for episode in episodes if episode.success] or [np.nan]
            low, median, high = np.percentile(steps, [10, 50, 90])
            reasons = Counter(episode.metadata.failure_reason for episode in episodes if not episode.success)
            failures = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
            successes = sum(episode.success for episode in episodes)
            row = (policy, task, f"{successes}/{args.episodes}", f"{median:g}", f"{low:.0f}-{high:.0f}", failures)
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Args))
