"""Data sets: what they hold, and what they are good for.

Example: rldg data show runs/data
"""

VERBS = {
    "show": "what a data set holds, or one of its episodes",
    "stats": "mean, deviation, bounds and quantiles of actions and states",
}
