"""Serves a policy over a websocket: to `--policy ws://...`, to openpi's client, to whoever speaks its protocol
(docs/serving.md).

Examples:
  rldg serve policy runs/octo --task usb_a_insertion
  RLDG_TOKEN=secret rldg serve policy runs/octo --host 0.0.0.0
  rldg evaluate usb_a_insertion --policy ws://127.0.0.1:8000 --out runs/evaluation
"""

import contextlib
import sys
from dataclasses import dataclass
from typing import Annotated

import tyro

from rldg.cli.output import emit
from rldg.errors import UsageError
from rldg.tasks import load_task


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg serve policy`."""

    # Who acts: what `rldg evaluate --policy` takes.
    policy: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="P")]
    # What clients do that name no task, such as openpi's: a task's name, or the path of a task YAML.
    task: str = ""
    # Address to listen on; any but this machine's own asks for a token: RLDG_TOKEN where it is set, else a fresh one.
    host: str = "127.0.0.1"
    # Port to listen on, or 0 for a free one.
    port: int = 8000
    # Clients that are served at a time.
    clients: int = 16
    # Let a policy sample its actions instead of taking the most likely ones.
    stochastic: bool = False
    # By which of the checkpoint's data sets to un-normalise, where it has several.
    statistics: str = ""
    # One line of JSON on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0 when it is interrupted, which is how serving ends; by exception 1 or 2."""
    if args.clients < 1:
        raise UsageError("--clients takes 1 or more.")
    task = load_task(args.task) if args.task else None
    from rldg.listening import token_for  # the policy's framework: not for --help
    from rldg.resolve import load_policy
    from rldg.serving.policy_server import PolicyServer

    policy, token = (
        load_policy(args.policy, stochastic=args.stochastic, statistics=args.statistics),
        token_for(args.host),
    )
    with (
        contextlib.suppress(KeyboardInterrupt),
        PolicyServer(policy, task=task, host=args.host, port=args.port, token=token, clients=args.clients) as server,
    ):
        known = f"  token: {token}" if token else ""
        about = {"url": server.url, "policy": policy.metadata.kind, "token": token}
        emit(about, args.json, f"{policy.metadata.kind} at {server.url}{known}  (Ctrl-C ends it)")
        sys.stdout.flush()
        server.serve()
    return 0
