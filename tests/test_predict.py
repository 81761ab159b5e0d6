"""`rldg predict` shows pictures to a policy and prints its actions; what does not fit together is wrong usage."""

import json

import numpy as np
import pytest
from PIL import Image

from rldg.cli.main import dispatch
from rldg.errors import UnknownNameError, UsageError
from rldg.policies.base import PolicyMetadata


class Brightness:
    """Answers with the mean red, green and blue of its picture, and its seed."""

    metadata = PolicyMetadata(kind="brightness", image_sizes={"wrist_1": 8})

    def predict(self, images, instruction, seed=None, *, goal=None, proprio=None):
        assert images["wrist_1"].shape == (16, 16, 3)
        return np.array([[*images["wrist_1"].mean((0, 1)), 0, 0, len(instruction), seed or 0]], np.float32)


@pytest.fixture
def picture(tmp_path, monkeypatch):
    monkeypatch.setattr("rldg.resolve.load_policy", lambda _, statistics: Brightness())
    file = tmp_path / "frame.png"
    Image.new("RGBA", (16, 16), (10, 20, 30, 255)).save(file)
    return file


def test_it_prints_the_actions_for_one_frame_in_rgb(picture, capsys):
    assert dispatch(["predict", "x", "--image", f"wrist_1={picture}", "--instruction", "go", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["actions"] == [[10, 20, 30, 0, 0, 2, 0]]
    assert answer["policy"] == "brightness"
    assert dispatch(["predict", "x", "--image", f"wrist_1={picture}", "--instruction", "go", "--seed", "3"]) == 0
    assert json.loads(capsys.readouterr().out)["actions"][0][-1] == 3


@pytest.mark.parametrize(
    ("pictures", "error", "said"),
    [
        (["wrist={}"], UnknownNameError, "Did you mean 'wrist_1'"),
        (["wrist_1"], UsageError, "CAMERA=FILE"),
        (["wrist_1=pyproject.toml"], UsageError, "not a picture"),
    ],
)
def test_pictures_that_do_not_fit_are_wrong_usage(picture, pictures, error, said):
    with pytest.raises(error, match=said):
        dispatch(["predict", "x", "--image", *(text.format(picture) for text in pictures), "--instruction", "go"])


def test_a_policy_without_eyes_is_refused():
    with pytest.raises(UsageError, match="'expert' acts on the state"):
        dispatch(["predict", "expert", "--image", "wrist_1=x.png", "--instruction", "go"])
