"""Puts a policy, a station or a person behind a socket."""

VERBS = {
    "robot": "a simulated station that speaks the protocol of SERL's Franka server",
    "policy": "answer observations with a policy's actions, over a websocket",
    "teleop": "a page from which a person moves the arm and records demonstrations",
}
