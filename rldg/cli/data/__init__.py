"""Data sets: what they hold, and what they are good for.

Example: rldg data show runs/data
"""

VERBS = {
    "show": "what a data set holds, or one of its episodes",
    "replay": "run a simulated episode again and say whether it reproduces",
    "export": "write a data set in LeRobot's format, robomimic's, or RLDS in the usual layout",
    "import": "make RLDS of SERL's pickles, LeRobot data sets, or RLDS of another making",
    "stats": "mean, deviation, bounds and quantiles of actions and states",
    "filter": "the episodes that satisfy a condition, as a new data set",
    "drop": "all episodes but some, as a new data set",
    "relabel": "other instructions, outcomes or actions, as a new data set",
    "merge": "several data sets as one",
    "split": "whole episodes set aside for validation, in a new data set",
    "subsample": "episodes drawn at random, as a new data set",
    "choose": "the fastest or most diverse successes, as a new data set",
    "register": "what Octo and OpenVLA must be told of a data set, ready to paste",
    "card": "a data card: README, plots and sample frames",
    "view": "look at episodes in the browser: pictures, plots, provenance, two side by side",
    "validate": "check files, fields, actions, pictures and labels; exit status 1 for a fault",
    "repair": "save every whole episode of a damaged data set into a new one",
}
