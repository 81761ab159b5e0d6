"""Files from the Hugging Face hub, by way of its client's cache (`HF_HOME`)."""

import hashlib
import os
import re
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from rldg.errors import CheckpointError

TIMEOUT = 20.0  # seconds without a byte after which the hub counts as out of reach

_ID = re.compile(r"hf:/{1,2}(?P<repository>[^@/]+(/[^@/]+)?)(@(?P<revision>.+))?")  # `Path` leaves one slash of two


def is_hub_id(text: str | Path) -> bool:
    """Whether `text` names something on the hub (`hf://owner/name`, `hf://owner/name@revision`) and no folder."""
    return str(text).startswith("hf:/")


def hub_id(text: str | Path) -> tuple[str, str | None]:
    """Repository and revision of a hub id; raises `CheckpointError` if it is none."""
    match = _ID.fullmatch(str(text))
    if match is None:
        raise CheckpointError(f"'{text}' is no hub id; valid: hf://owner/name or hf://owner/name@revision.")
    return match["repository"], match["revision"]


def download(repository: str, patterns: Iterable[str], revision: str | None = None) -> Path:
    """The folder of a snapshot of `repository` (owner/name) that holds the files that match `patterns`.

    What is in the cache already is not fetched again; what broke off is continued. The content of every file is
    compared with the hub's checksum. Without network the cache alone serves.

    Raises `CheckpointError` if there is no such repository or revision, if the hub is out of reach and the cache has
    not all, or if a file is damaged.
    """
    from huggingface_hub import constants, errors, snapshot_download

    _bound_waits()
    wanted = list(patterns)
    name = f"hf://{repository}{'@' + revision if revision else ''}"
    try:
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=wanted))
    except errors.HFValidationError:
        raise CheckpointError(f"'{repository}' cannot be the name of a repository on the hub: owner/name.") from None
    except errors.GatedRepoError:
        raise CheckpointError(f"{name} is gated: accept its terms on its page of the hub first.") from None
    except errors.RepositoryNotFoundError:
        raise CheckpointError(
            f"{name} is not on {constants.ENDPOINT}, or is private; log in with `hf auth login` if it is."
        ) from None
    except errors.RevisionNotFoundError:
        raise CheckpointError(f"hf://{repository} has no revision '{revision}'.") from None
    except errors.LocalEntryNotFoundError as error:
        cause = type(error.__cause__).__name__ if error.__cause__ else "offline mode"
        raise CheckpointError(
            f"{name} cannot be had: {constants.ENDPOINT} is out of reach ({cause}), and the cache "
            f"{constants.HF_HUB_CACHE} does not hold all of it."
        ) from None
    except Exception as error:  # of the network, the disk, or the client's transfer library
        raise CheckpointError(
            f"The download of {name} broke off ({type(error).__name__}: {str(error).splitlines()[0]:.200}); the same "
            f"command continues it."
        ) from None
    for path in sorted(folder.rglob("*")):
        if path.is_file() and any(fnmatch(str(path.relative_to(folder)), pattern) for pattern in wanted):
            _verify(path, name)
    return folder


def _verify(path: Path, name: str) -> None:
    """Compares a cached file with its checksum; a damaged one is removed, so that it is fetched anew.

    The cache calls each file by its checksum: SHA-256, or for small ones git's SHA-1 of a header and the content.
    """
    expected = Path(os.readlink(path)).name if path.is_symlink() else ""
    size = path.stat().st_size
    match len(expected):
        case 64:
            digest = hashlib.sha256()
        case 40:
            digest = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
        case _:  # a file system without links: the client has compared sizes
            return
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != expected:
        path.resolve().unlink()
        path.unlink()
        raise CheckpointError(
            f"{path.name} of {name} was damaged (its checksum is not the hub's) and has been removed from the cache; "
            f"the same command downloads it again."
        )


def _bound_waits() -> None:
    """Gives every request of the hub's client a time-out: some that it makes have none."""
    from huggingface_hub import get_session

    session = get_session()
    hooks = session.event_hooks
    if _bounded not in hooks["request"]:
        hooks["request"].append(_bounded)
        session.event_hooks = hooks


def _bounded(request: Any) -> None:
    waits = request.extensions.get("timeout", {})
    request.extensions["timeout"] = {
        phase: TIMEOUT if waits.get(phase) is None else waits[phase] for phase in ("connect", "read", "write", "pool")
    }
