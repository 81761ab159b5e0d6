"""Lists the cameras that are attached to this machine; with a station, shows its cameras on a page of this machine.

Examples:
  rldg robot cameras
  rldg robot cameras stations/lab.yaml
"""

import contextlib
import sys
from dataclasses import dataclass

import tyro

from rldg.cli.output import emit, table
from rldg.errors import UsageError
from rldg.tasks import load_station


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg robot cameras`."""

    # A station's name, or its file, whose cameras are shown.
    station: tyro.conf.Positional[str] = ""
    # Port of the page, or 0 for a free one.
    port: int = 0
    # Print one JSON line on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0, also when the page is interrupted, which is how it ends."""
    if not args.station:
        from rldg.robots.camera_devices import attached_cameras

        found = attached_cameras()
        rows = [(one["driver"], one.get("serial") or one["device"], one["name"]) for one in found]
        text = table(("driver", "serial or device", "name"), rows) if rows else "No camera is attached to this machine."
        emit({"cameras": found}, args.json, text)
        return 0
    station = load_station(args.station)
    from rldg.robots.camera_sources import make_source
    from rldg.robots.newest_frame import NewestFrame

    try:
        from rldg.serving.camera_page import serve_page
    except ModuleNotFoundError as error:
        raise UsageError(f"The page needs {error.name}: pip install 'rldg[web]'.") from None
    sources = {name: make_source(name, mount, station.url) for name, mount in station.cameras.items()}
    readers = {name: NewestFrame(name, source) for name, source in sources.items()}

    def started(url: str) -> None:
        emit({"url": url, "cameras": list(readers)}, args.json, f"{url}  (Ctrl-C ends it)")
        sys.stdout.flush()

    with contextlib.suppress(KeyboardInterrupt):
        serve_page(readers, args.port, started)
    for reader in readers.values():
        reader.close()
    return 0
