"""What this machine has to give."""

from pathlib import Path


def free_memory() -> int:
    """What the machine, or the container this runs in, has free for another use, in bytes; 0 if it does not say so."""
    counts = Path("/proc/meminfo")
    if not counts.exists():
        return 0
    lines = dict(line.split(":", 1) for line in counts.read_text().splitlines())
    free = 1024 * int(lines["MemAvailable"].split()[0])  # with what the system would give up of its file cache
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and (most := limit.read_text().strip()) != "max":
        free = min(free, max(0, int(most) - int(used.read_text())))
    return free
