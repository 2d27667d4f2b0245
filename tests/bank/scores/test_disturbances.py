"""Small disturbances of pictures."""

import numpy as np
import pytest

from comem_hf.bank.scores.disturbances import DISTURBANCES
from tests.conftest import make_image


@pytest.mark.parametrize("name", DISTURBANCES)
def test_disturbances_change_the_picture_a_little_and_always_the_same_way(name):
    image = make_image(3, (120, 80))
    disturbed = DISTURBANCES[name](image)
    assert disturbed.tobytes() == DISTURBANCES[name](image).tobytes() != image.tobytes()
    assert image.size == (120, 80)
    before, after = (np.asarray(picture.convert("L").resize((6, 4)), dtype=float) for picture in (image, disturbed))
    assert np.abs(before - after).mean() < 40
