"""`write_report`: what a classifier is worth on labelled pictures it has not seen, as one HTML page and as JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from rldg import __version__
from rldg.classifiers.examples import Examples
from rldg.classifiers.figures import score_histogram, threshold_sweep
from rldg.classifiers.metrics import Quality, sweep
from rldg.data.images import encode_jpeg
from rldg.env.classifier import Classifier, logit
from rldg.errors import DatasetError
from rldg.evaluation.page import data_uri, write_page
from rldg.stage import write_json

BATCH = 64  # pictures that are scored at once
GALLERY = 24  # mistakes of each kind that are shown, the worst first


def probabilities(classifier: Classifier, examples: Examples) -> np.ndarray:
    """(N,) of success. Raises `DatasetError` if the pictures are not what the classifier looks at."""
    if not classifier.resolutions.items() <= examples.resolutions.items():
        raise DatasetError(
            f"The classifier looks through {classifier.resolutions} [px]; the data has {examples.resolutions}."
        )
    parts = []
    for first in range(0, len(examples), BATCH):
        batch = {camera: examples.images[camera][first : first + BATCH] for camera in classifier.resolutions}
        seen = {camera: part.astype(np.float32) for camera, part in classifier.looked_at(batch).items()}
        parts.append(logit(classifier.weights, seen))
    return 1 / (1 + np.exp(-np.concatenate(parts)))


def write_report(
    out: Path, classifier: Classifier, examples: Examples, *, threshold: float, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Writes `report.json` and `report.html` into `out`, and returns the former's content.

    Args:
        out: folder.
        classifier: what is judged.
        examples: labelled pictures that it was not trained on.
        threshold: from which probability on its verdict is "success".
        about: name -> text of what the report is about, shown as it is.
    """
    scores = probabilities(classifier, examples)
    chosen, swept = Quality.of(threshold, scores, examples.label), sweep(scores, examples.label)
    mistakes = _mistakes(examples, scores, threshold)
    content: dict[str, Any] = {
        **about,
        "weight_hash": classifier.weight_hash,
        "episodes": len(np.unique(examples.episode)),
        "positives": int(examples.label.sum()),
        "negatives": int((~examples.label).sum()),
        **chosen.summary(),
        "truth": _against_truth(examples, scores, threshold),
        "sweep": [one.summary() for one in swept],
        "mistakes": mistakes,
    }
    page = {
        **content,
        "about": dict(about),
        "version": __version__,
        "figures": {
            "sweep": Markup(threshold_sweep(swept, threshold)),
            "histogram": Markup(score_histogram(scores, examples.label, threshold)),
        },
        "galleries": [
            {"title": title, "count": len(kind), "shown": [_shown(examples, one) for one in kind[:GALLERY]]}
            for title, label in (("Taken for a success", False), ("Success not seen", True))
            if (kind := [one for one in mistakes if one["label"] is label])
        ],
    }
    out.mkdir(parents=True, exist_ok=True)
    write_page(out / "report.html", "rldg.classifiers", "classifier.html.j2", page)
    write_json(out / "report.json", content)
    return content


def _mistakes(examples: Examples, scores: np.ndarray, threshold: float) -> list[dict[str, Any]]:
    """Every wrong verdict, the furthest from the threshold first."""
    rows = np.flatnonzero((scores >= threshold) != examples.label)
    return [
        {
            "row": int(row),
            "episode": str(examples.episode[row]),
            "step": int(examples.step[row]),
            "label": bool(examples.label[row]),
            "truth": None if examples.truth is None else bool(examples.truth[row]),
            "score": round(float(scores[row]), 4),
            "millimetres": (1000 * examples.pose[row, :3]).round(2).tolist(),
        }
        for row in rows[np.argsort(-np.abs(scores[rows] - threshold))]
    ]


def _against_truth(examples: Examples, scores: np.ndarray, threshold: float) -> dict[str, Any] | None:
    """How often classifier and labels agree with the simulator; None where it said nothing."""
    if examples.truth is None:
        return None
    return {
        "classifier": Quality.of(threshold, scores, examples.truth).summary(),
        "labels": Quality.of(threshold, examples.label.astype(float), examples.truth).summary(),
    }


def _shown(examples: Examples, mistake: dict[str, Any]) -> dict[str, Any]:
    """A mistake with its pictures, one per camera."""
    pictures = [views[mistake["row"]] for _, views in sorted(examples.images.items())]
    return mistake | {"pictures": [data_uri(encode_jpeg(picture), "image/jpeg") for picture in pictures]}
