"""The second view of a query's picture, which says how much its embedding depends on the frame."""

from PIL import Image

from comem_hf.modeling.picture_comem import MAX_ASPECT_RATIO

from .disturbances import crop


_MOST_PIXELS = 1024  # per side: embedders make it smaller anyway


def second_view(picture: Image.Image) -> Image.Image:
    """Return the same picture as if it had been framed a little closer.

    Args:
        picture (`PIL.Image.Image`): The picture of a query.
    """
    view = crop(picture)
    if max(view.size) > MAX_ASPECT_RATIO * min(view.size):  # of a strip that is just wide enough to be read
        view = picture.copy()
    view.thumbnail((_MOST_PIXELS, _MOST_PIXELS), reducing_gap=2.0)
    return view
