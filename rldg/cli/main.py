"""`rldg VERB ...`: finds the verb's module, reads its arguments, and turns what went wrong into one sentence.

A verb is a module `rldg.cli.<verb>` with a docstring (its help, with an example), `Args` (a frozen dataclass, or a
union of them for subcommands; `DEFAULT` names the one that may be left out) and `main(args) -> int`, the exit status:
0 success, 1 a failed check. `defaults(command line) -> Args`, where there is one, says what is not given. A package
with `VERBS` of its own is a group: `rldg data show` is `rldg.cli.data.show`. Only the module of the verb that was asked
for is imported, so that help answers at once.
"""

import importlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from keyword import iskeyword
from types import ModuleType

from rldg import __version__
from rldg.errors import RldgError, UnknownNameError, UsageError

VERBS = {
    "doctor": "check rendering, versions, devices and disk, and say what to do about each fault",
    "tasks": "list, show and check task files",
    "classifier": "reward classifiers: label pictures, train on them, see what they are worth",
    "train": "train a specialist on one task by reinforcement learning",
    "encoder": "import the encoder of pictures that SERL publishes",
    "collect": "roll a policy out and write its episodes as an RLDS data set",
    "data": "inspect data sets",
    "finetune": "fine-tune a generalist on data sets",
    "irevla": "improve a generalist by reinforcement and supervised learning in turns",
    "evaluate": "run a policy on locked scenes: success, cycle time, failures, videos",
    "compare": "compare two evaluations of the same scenes: the paired difference and its interval",
    "report": "write one self-contained HTML page about a folder of runs",
    "serve": "put a policy, a simulated station, or a person at a browser behind a socket",
    "robot": "set a physical station up: its file, checks, cameras, target",
    "predict": "show one recorded frame to a policy and print the actions it answers with",
}

EXAMPLES = """\
  rldg train usb_a_insertion --out runs/specialist
  rldg collect usb_a_insertion --policy runs/specialist --episodes 45 --out runs/data
  rldg finetune octo --data runs/data --out runs/octo
  rldg evaluate usb_a_insertion --policy runs/octo --episodes 100 --out runs/evaluation"""


def help_text() -> str:
    """What `rldg --help` says."""
    return (
        "usage: rldg VERB ...\n\nNarrow reinforcement learning turned into data for generalist robot policies.\n\n"
        f"verbs:\n{_listed(VERBS)}\n\nfrom a task to an evaluated generalist:\n{EXAMPLES}\n\n"
        "`rldg VERB --help` says more about a verb. Every verb takes --json: one line of JSON, last on standard output."
        "\n"
        "Exit status: 0 success, 1 failed check, 2 wrong usage, 130 interrupted, 143 terminated."
    )


def dispatch(command_line: Sequence[str]) -> int:
    """Carries out one command line (without the program's name) and returns its exit status."""
    if not command_line:
        print(help_text(), file=sys.stderr)
        return 2
    verb, *rest = command_line
    if verb in ("-h", "--help", "help"):
        print(help_text())
        return 0
    if verb == "--version":
        print(f"rldg {__version__}")
        return 0
    if verb not in VERBS:
        raise UnknownNameError("verb", verb, VERBS)
    module = importlib.import_module(f"rldg.cli.{verb}")
    return _dispatch_group(module, rest) if hasattr(module, "VERBS") else _call(module, verb, rest)


def _dispatch_group(group: ModuleType, command_line: Sequence[str]) -> int:
    """Carries out `rldg GROUP VERB ...`, where the group is a package with a module per verb."""
    name = group.__name__.removeprefix("rldg.cli.")
    verb = command_line[0] if command_line else ""
    if verb in ("", "-h", "--help", "help"):
        text = f"usage: rldg {name} VERB ...\n\n{group.__doc__}\nverbs:\n{_listed(group.VERBS)}"
        print(text, file=sys.stdout if verb else sys.stderr)
        return 0 if verb else 2
    if verb not in group.VERBS:
        raise UnknownNameError(f"verb of `rldg {name}`", verb, group.VERBS)
    module = importlib.import_module(f"{group.__name__}.{_module_name(verb)}")
    return _call(module, f"{name} {verb}", command_line[1:])


def _call(module: ModuleType, verb: str, rest: Sequence[str]) -> int:
    """Reads a verb's arguments and carries it out."""
    import tyro  # only here: help and unknown verbs need no parser

    if hasattr(module, "DEFAULT") and (not rest or (rest[0].startswith("--") and rest[0] != "--help")):
        rest = [module.DEFAULT, *rest]
    config = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes)
    default = module.defaults(rest) if hasattr(module, "defaults") else None
    options = {} if default is None else {"default": default}
    return module.main(
        tyro.cli(module.Args, prog=f"rldg {verb}", description=module.__doc__, args=rest, config=config, **options)
    )


def _module_name(verb: str) -> str:
    """`import` cannot be the name of a module that is imported the usual way, so it is `import_`."""
    return f"{verb}_" if iskeyword(verb) else verb


def _listed(verbs: Mapping[str, str]) -> str:
    return "\n".join(f"  {name:<12}{line}" for name, line in verbs.items())


class Terminated(KeyboardInterrupt):
    """SIGTERM: what a cluster's scheduler or `kill` sends; ends the process as Ctrl-C does, with another status."""


def _terminate(*_: object) -> None:
    raise Terminated


def run() -> None:
    """The console script: `dispatch` on the process's arguments, errors as one sentence on standard error."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        status = dispatch(sys.argv[1:])
        sys.stdout.flush()
    except (RldgError, OSError) as error:
        if isinstance(error, BrokenPipeError):  # the reader (`| head`) has gone; nothing is left to say
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(128 + 13)
        print(f"rldg: {error}", file=sys.stderr)
        status = 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt as error:
        print("rldg: interrupted; what is finished is kept, and the same command continues.", file=sys.stderr)
        status = 143 if isinstance(error, Terminated) else 130
    sys.exit(status)
