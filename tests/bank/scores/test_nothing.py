"""Pictures of nothing."""

import numpy as np

from comem_hf.bank.scores.nothing import NOTHING, picture_of_nothing


def test_pictures_of_nothing_take_turns_and_are_always_the_same():
    pictures = [np.asarray(picture_of_nothing(number, (40, 30))) for number in range(2 * len(NOTHING))]
    assert all(picture.shape == (30, 40, 3) for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)
    assert pictures[4].tobytes() == np.asarray(picture_of_nothing(4, (40, 30))).tobytes()
    assert [len(np.unique(picture.reshape(-1, 3), axis=0)) == 1 for picture in pictures[:3]] == [False, True, False]
    steps = [np.abs(np.diff(picture.astype(int), axis=1)).mean() for picture in pictures[:3]]
    assert steps[0] > 5 * steps[2]  # neighbouring pixels of noise differ, blurred ones hardly
