"""Why an episode on a robot had to end before its policy or its judge ended it."""


class RobotStop(Exception):
    """The arm holds, and the episode is over: a limit was touched, or the operator wanted it.

    Attributes:
        reason: one word, recorded as the episode's `failure_reason`.
        sentence: what happened, for people.
        terminal: whether it is an outcome of the policy's doing rather than an interruption.
    """

    def __init__(self, reason: str, sentence: str, terminal: bool = False):
        super().__init__(reason, sentence, terminal)
        self.reason, self.sentence, self.terminal = reason, sentence, terminal

    def __str__(self) -> str:
        return self.sentence


class RobotFault(RobotStop):
    """The set-up failed (network, server, camera, a reflex that stays): nothing is said about the policy."""

    def __init__(self, what: str, sentence: str):
        super().__init__(what, sentence)
