"""Turns any number of collections into one sharded, shuffled data set, as NAME/VERSION under a folder.

Examples:
  python datasets/publish.py --sources runs/a runs/b --name usb_a --out data --successes --validation 0.05
  python datasets/publish.py --sources runs/* --name usb_a --out data --workers 8 --file-format array_record
  python datasets/publish.py --sources /nfs/runs/* --name usb_a --out /nfs/data \
      --beam-options runner=FlinkRunner,flink_master=head:8081,environment_type=LOOPBACK
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from rldg.cli.output import emit, table
from rldg.data.publishing.publication import Publication
from rldg.errors import RldgError, UsageError


@dataclass(frozen=True)
class Args:
    """Arguments of `datasets/publish.py`."""

    publication: Annotated[Publication, tyro.conf.arg(name="")]
    # Name of the data set: lower-case words joined by underscores.
    name: str
    # Folder, or URL of an object store, under which NAME/VERSION is made.
    out: str
    # Raised with every change of what is published.
    version: str = "1.0.0"
    # Apache Beam, or this process alone, which needs no Beam.
    engine: Literal["beam", "local"] = "beam"
    # Processes of Beam's local runner.
    workers: int = 1
    # Beam's options, comma-separated, as `tfds build --beam_pipeline_options` takes them: the runner and its flags.
    beam_options: str = ""
    # Folder on this machine for the run's record, where --out is in an object store.
    state: Path | None = None
    # Replace what an earlier run wrote there.
    overwrite: bool = False
    # One line of JSON on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0, or by exception 1 for data that cannot be published and 2 for wrong usage."""
    import tensorflow_datasets as tfds  # not for --help
    from tensorflow_datasets.core.naming import is_valid_dataset_name

    from rldg.data.publishing.files import as_path
    from rldg.data.publishing.publish import publish

    if not is_valid_dataset_name(args.name):
        raise UsageError(f"A data set cannot be called '{args.name}'; TFDS wants a name such as 'usb_a_insertion'.")
    folder = as_path(args.out) / args.name / args.version
    identity = tfds.core.DatasetIdentity(args.name, tfds.core.Version(args.version), str(folder), module_name="")
    result = publish(
        args.publication, folder, identity, engine=_engine(args), state=args.state, overwrite=args.overwrite
    )
    rows = [(split, *numbers.values()) for split, numbers in result["splits"].items()]
    text = f"{folder}\n{table(('split', 'episodes', 'steps', 'shards', 'bytes'), rows)}"
    for fault in result["broken"]:
        print(f"left out: {fault}", file=sys.stderr)
    emit({"folder": str(folder), **result}, args.json, text)
    return 0


def _engine(args: Args) -> Any:
    if args.engine == "local":
        from rldg.data.publishing.tasks import in_process

        return in_process
    try:
        from rldg_episodes.beam_engine import BeamEngine, beam_options, local_options
    except ImportError:
        raise UsageError(
            "Apache Beam is not installed here: see docs/scale.md for its environment, or pass --engine local."
        ) from None
    return BeamEngine(beam_options(args.beam_options) if args.beam_options else local_options(args.workers))


def run() -> int:
    """`main` on the command line's arguments; errors as one sentence on standard error."""
    args = tyro.cli(Args, description=__doc__)
    try:
        return main(args)
    except (RldgError, OSError) as error:
        print(f"publish: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("publish: interrupted; finished shards are kept, and the same command continues.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(run())
