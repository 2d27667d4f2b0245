"""Pictures of emoji, from the vector graphics of an Iconify icon set."""

import io

import resvg_py
from PIL import Image

from recipes.atlas_small.data.shared.photographs import flatten


SIZE = 128  # pixels, width and height
COLOURS = 64  # in a palette: a picture takes 2 KB instead of 5, and looks the same


def render(icons: dict, name: str) -> Image.Image:
    """Draw an icon on white, with a palette.

    Args:
        icons (`dict`): An icon set in the form `IconifyJSON`
            (https://iconify.design/docs/types/iconify-json.html).
        name (`str`): Name of the icon.
    """
    icon = icons["icons"][name]
    left, top, width, height = (
        icon.get(key, icons.get(key, default))
        for key, default in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
    )
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{left} {top} {width} {height}">{icon["body"]}</svg>'
    )
    png = resvg_py.svg_to_bytes(svg_string=svg, width=SIZE, height=SIZE, skip_system_fonts=True)
    with Image.open(io.BytesIO(bytes(png))) as image:
        return flatten(image).quantize(COLOURS, dither=Image.Dither.NONE)
