"""Sets a physical station up: its file, its checks, its cameras, its target (docs/real_robot.md)."""

VERBS = {
    "init": "ask what a station consists of and write its file",
    "check": "go through server, gains, cameras, force, timing, gripper and box, and print a table",
    "cameras": "list the cameras of this machine or of a station, and show them on a page",
    "target": "record a target pose by leading the arm there by hand",
}
