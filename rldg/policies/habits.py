"""`TeleoperatorHabits`: every number that the simulated teleoperator consists of, and its named presets."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class TeleoperatorHabits:
    """Times in seconds, lengths in metres, angles in radians; a deflection of 1 is a fully pushed SpaceMouse.

    The defaults are a skilled operator's.
    """

    reaction_delay: float = 0.2  # s between seeing and acting on it
    anticipation: float = 0.8  # share of the motion during that delay that the operator foresees, 0..1
    position_bias: float = 0.0003  # m, standard deviation per axis of where the socket is believed to be
    yaw_bias: float = 0.01  # rad, the same for its heading
    full_deflection_distance: float = 0.015  # m of perceived error from which the device is pushed fully
    full_deflection_angle: float = 0.08  # rad, the same for rotations
    saturation: float = 0.9  # deflection that the operator never exceeds, 0..1
    lateral_tolerance: float = 0.001  # m of perceived error at which x and y are called aligned
    turn_tolerance: float = 0.02  # rad of perceived error at which the rotation is called aligned
    hand_speed: float = 0.7  # share of the way to the intended deflection that the hand covers in one step, 0..1
    hand_noise: float = 0.05  # deflection, standard deviation of the tremor while the device is pushed fully
    noise_memory: float = 0.7  # correlation of the tremor from step to step, 0..1
    hesitation_rate: float = 0.15  # pauses per second
    hesitation_time: float = 0.3  # s, mean length of a pause
    contact_force: float = 6.0  # N at which contact is felt
    contact_dwell: float = 0.2  # s, mean rest at first touch
    patience: float = 0.6  # s of pressing without entering until the operator lifts off and looks again
    lift_time: float = 0.2  # s of lifting off


DEFAULT = "skilled"
_SKILLED = TeleoperatorHabits()
PRESETS = {
    DEFAULT: _SKILLED,
    "average": replace(
        _SKILLED,
        reaction_delay=0.3,
        hand_noise=0.08,
        hesitation_rate=0.4,
        hesitation_time=0.5,
        position_bias=0.0004,
        contact_dwell=0.4,
    ),
    "clumsy": replace(
        _SKILLED,
        reaction_delay=0.4,
        anticipation=0.6,
        hand_noise=0.12,
        hesitation_rate=0.6,
        hesitation_time=0.8,
        position_bias=0.0006,
        yaw_bias=0.02,
        contact_dwell=0.6,
    ),
}
