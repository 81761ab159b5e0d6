"""`FrankaGripper`: when a physical gripper is told to open or close."""

from rldg.robots.franka_client import FrankaClient
from rldg.tasks.station import GripperSettings


class FrankaGripper:
    """Sends a command when it changes, and not within the gripper's lockout of the last one.

    SERL's thresholds on the measured opening say what it was told before anybody here told it anything. Unlike in the
    original, the control loop does not sleep meanwhile.
    """

    def __init__(self, client: FrankaClient, settings: GripperSettings) -> None:
        self._client, self._settings = client, settings
        self._told: bool | None = None
        self._at = -float("inf")

    def begin(self, measured: float) -> None:
        """Takes the measured opening (0 closed .. 1 open) for the last command."""
        self._told = measured >= self._settings.open_above

    def command(self, opening: float, now: float) -> None:
        """Opens (1) or closes (0) it, if it is not told so already; during the lockout the next step tries again."""
        wanted = opening >= 0.5
        if self._settings.kind == "none" or wanted == self._told or now - self._at < self._settings.lockout:
            return
        if wanted:
            self._client.open_gripper()
        else:
            self._client.close_gripper(self._settings.slow_close)
        self._told, self._at = wanted, now
