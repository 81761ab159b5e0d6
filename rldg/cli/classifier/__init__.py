"""Reward classifiers: pictures say whether a task is done, where nothing else can.

From labels to a task that is judged by them:
  rldg classifier record usb_a_insertion --out runs/labels
  rldg classifier train usb_a_insertion --data runs/labels --out runs/classifier
  rldg train runs/classifier/task.yaml --out runs/specialist
"""

VERBS = {
    "record": "label pictures by holding a key, or by the simulator's truth",
    "train": "train a classifier on labelled pictures, and test it on held-out ones",
    "vice": "train a specialist and its classifier together, from positives alone",
    "report": "what a classifier is worth on other labelled pictures, as a page and as JSON",
}
