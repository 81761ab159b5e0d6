"""Puts a policy, a station or a person behind a socket."""

VERBS = {
    "policy": "answer observations with a policy's actions, over a websocket",
    "teleop": "a page from which a person moves the arm and records demonstrations",
}
