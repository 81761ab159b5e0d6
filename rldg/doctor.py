"""Is this machine fit? Each check says what it found, and what to do if that will not do.

What may hang or crash a process (graphics drivers, accelerators) is tried in a process of its own.
"""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Literal

GIB = 1024**3
MEMORY_NEEDED = 6 * GIB  # the most that a stage of the demo may take
DISK_NEEDED = 2 * GIB  # the demo's runs, videos and compilation cache, with room to spare

RENDER = """
from rldg.sim.backend import choose_rendering_backend
backend = choose_rendering_backend()
import mujoco
model = mujoco.MjModel.from_xml_string(
    '<mujoco><worldbody><light pos="0 0 2"/><geom size=".2" rgba="1 0 0 1"/></worldbody></mujoco>')
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 64, 64) as renderer:
    renderer.update_scene(data)
    assert renderer.render().any(), "the frame is black"
print(backend)
"""
JAX = "import jax; print(', '.join(f'{d.platform} ({d.device_kind})' for d in jax.devices()))"
TORCH = "import torch; print(torch.__version__, torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu')"


@dataclass(frozen=True)
class Check:
    """One finding. A `fault` stops the demo, a `warning` may; `remedy` says what to do about either."""

    name: str
    status: Literal["ok", "warning", "fault"]
    found: str
    remedy: str = ""


def examine() -> list[Check]:
    """All checks, in the order in which to mend them."""
    checks: list[Callable[[], Check]] = [
        python, packages, rendering, jax_devices, torch_devices, cores, memory, disk, ffmpeg, chromium,
    ]  # fmt: skip
    return [check() for check in checks]


def python() -> Check:
    """The interpreter's version."""
    found = platform.python_version()
    if sys.version_info >= (3, 13):
        return Check("python", "warning", found, "Tested with 3.11 and 3.12; if anything fails, use one of those.")
    return Check("python", "ok", found)


def packages() -> Check:
    """What rldg depends on, against the versions that were tested together."""
    tested = tested_versions()
    required = [line for line in metadata.requires("rldg") or [] if "extra ==" not in line]
    missing, other = [], []
    for name in (re.split(r"[^\w.-]", line)[0] for line in required):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
            continue
        pin = tested.get(_normal(name))
        if pin and version.split("+")[0] != pin:
            other.append(f"{name} {version} (tested: {pin})")
    if missing:
        return Check("packages", "fault", f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    if other:
        return Check("packages", "warning", ", ".join(other), "Install with `pip install -c constraints.txt`.")
    return Check("packages", "ok", f"{len(required)} as tested")


def tested_versions() -> dict[str, str]:
    """Package -> version of `constraints.txt`, which stands in the wheel, or at the top of a checkout."""
    inside = Path(str(resources.files("rldg"))) / "_constraints.txt"
    file = inside if inside.is_file() else Path(__file__).parents[1] / "constraints.txt"
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if "==" in line and line[0] != "#"]
    return {_normal(name): version for name, _, version in (line.partition("==") for line in lines)}


def rendering() -> Check:
    """Draws a frame off-screen."""
    done, text = _try(RENDER)
    if done:
        return Check("rendering", "ok", f"drew a frame off-screen with {text}")
    install = "sudo apt-get install --no-install-recommends libegl1 libgl1"
    chosen = os.environ.get("MUJOCO_GL")
    unset = f"Unset MUJOCO_GL (it is '{chosen}'), or " if chosen else ""
    remedy = f"{unset}`{install}` (or libosmesa6); with a GPU, install its driver's EGL."
    return Check("rendering", "fault", text, remedy[0].upper() + remedy[1:])


def jax_devices() -> Check:
    """What JAX computes on."""
    done, text = _try(JAX)
    if not done:
        return Check(
            "jax",
            "fault",
            text,
            "Install it again with `pip install -c constraints.txt jax`, or set JAX_PLATFORMS=cpu.",
        )
    return Check("jax", "ok", text)


def torch_devices() -> Check:
    """What PyTorch computes on; only OpenVLA needs it."""
    if importlib.util.find_spec("torch") is None:
        return Check("torch", "ok", "not installed; only OpenVLA needs it (pip install 'rldg[openvla]')")
    done, text = _try(TORCH)
    return Check("torch", "ok" if done else "warning", text, "" if done else "pip install -c constraints.txt torch")


def cores() -> Check:
    """Processor cores that this process may use."""
    count = len(os.sched_getaffinity(0))
    if count < 2:
        return Check("cores", "warning", f"{count}", "Acting and learning overlap on two cores; expect half the speed.")
    return Check("cores", "ok", f"{count}")


def memory() -> Check:
    """Main memory."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found = f"{total / GIB:.1f} GiB"
    if total < MEMORY_NEEDED:
        return Check("memory", "warning", found, "Stages take up to 6 GiB: close what else runs, or add swap.")
    return Check("memory", "ok", found)


def disk() -> Check:
    """Room for runs in the current folder."""
    free = shutil.disk_usage(".").free
    found = f"{free / GIB:.1f} GiB free in {Path.cwd()}"
    if free < DISK_NEEDED:
        return Check("disk", "fault", found, "Free 2 GiB here, or work in a folder on another disk.")
    return Check("disk", "ok", found)


def ffmpeg() -> Check:
    """The encoder that writes videos."""
    done, text = _try("import imageio_ffmpeg as f; print(f.get_ffmpeg_exe(), f.get_ffmpeg_version())")
    return Check(
        "ffmpeg", "ok" if done else "fault", text, "" if done else "pip install -c constraints.txt imageio-ffmpeg"
    )


def chromium() -> Check:
    """A browser that tests look at the report with; optional."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return Check("chromium", "ok", path)
    return Check("chromium", "ok", "not installed; only the test that looks at the report in a browser needs it")


def _try(code: str, timeout: float = 120) -> tuple[bool, str]:
    """Runs Python `code` in a process of its own: whether it ended well, and the last line it said."""
    try:
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return False, f"no answer within {timeout:.0f} s"
    said = (run.stdout if run.returncode == 0 else run.stderr).strip().splitlines()
    return run.returncode == 0, said[-1] if said else f"the process ended with status {run.returncode}"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
