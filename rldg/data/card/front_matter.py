"""What the Hugging Face hub reads of a data card (https://huggingface.co/docs/hub/datasets-cards)."""

from collections.abc import Iterable

import yaml


def front_matter(name: str, license: str, tasks: Iterable[str], splits: Iterable[str], steps: int) -> str:  # noqa: A002
    """The card's YAML: `license` is an identifier of the hub's, `steps` are all splits' together."""
    header = {
        "license": license,
        "pretty_name": name,
        "task_categories": ["robotics"],
        "tags": ["rlds", "tfds", "rldg", *sorted(tasks)],
        "size_categories": [_size_category(steps)],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"*-{split}.tfrecord-*"} for split in splits],
            }
        ],
        "viewer": False,  # the hub's does not read TFRecord
    }
    return yaml.safe_dump(header, sort_keys=False, allow_unicode=True)


def _size_category(steps: int) -> str:
    """The hub's word for how many training examples there are; here an example is a step."""
    names = ["1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T"]
    below = next((i for i in range(len(names)) if steps < 1000 * 10**i), len(names))
    if below == 0:
        return "n<1K"
    return f"{names[below - 1]}<n<{names[below]}" if below < len(names) else "n>1T"
