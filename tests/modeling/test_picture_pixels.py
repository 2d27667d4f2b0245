"""Right pixels: what is transparent, deep, profiled, inked or turned is what its format means."""

import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest
from PIL import ImageCms, ImageDraw, features

from comem_hf import MemoryItem
from comem_hf.modeling.picture_comem import load_image
from comem_hf.modeling.picture_pixels_comem import PICTURE_RULES, depends_on_rules
from tests.conftest import make_image
from tests.picture_forms import encode


WHITE = (255, 255, 255)
needs_cms = pytest.mark.skipif(not features.check("littlecms2"), reason="this Pillow has no LittleCMS")


def logo(shape: int) -> PIL.Image.Image:
    """A black logo on transparent ground; the transparent pixels are black, too."""
    image = PIL.Image.new("RGBA", (56, 56), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    corners = [(8, 8, 48, 48), (20, 2, 36, 54), (2, 20, 54, 36), (2, 2, 20, 20)]
    draw.ellipse(corners[shape], fill=(0, 0, 0, 255))
    return image


def on_white(image: PIL.Image.Image) -> PIL.Image.Image:
    """As qwen_vl_utils 0.0.14 does it (`to_rgb`)."""
    white = PIL.Image.new("RGB", image.size, (255, 255, 255))
    white.paste(image, mask=image.split()[3])
    return white


def with_alpha(image: PIL.Image.Image, form: str) -> object:
    alpha = image.getchannel("A")
    if form == "LA":
        return PIL.Image.merge("LA", (image.convert("RGB").convert("L"), alpha))
    if form == "La":
        return with_alpha(image, "LA").convert("La")
    if form == "RGBa":
        return image.convert("RGBa")
    if form == "PA":
        return PIL.Image.merge("PA", (image.convert("RGB").convert("P"), alpha))
    palette = PIL.Image.fromarray((np.asarray(alpha) > 0).astype(np.uint8), mode=None).convert("P")
    palette.putpalette([0, 0, 0, 0, 0, 0])
    if form == "GIF":
        return encode(palette, "GIF", transparency=0)
    if form == "palette":
        return encode(palette, "PNG", transparency=b"\x00\xff")
    return encode(image, form, **({"lossless": True} if form == "WEBP" else {}))


@pytest.mark.parametrize("form", ["RGBA", "LA", "La", "RGBa", "PA", "GIF", "palette", "PNG", "WEBP", "TIFF"])
def test_logos_on_transparent_ground_stay_different_pictures_on_white(form):
    seen = set()
    for shape in range(4):
        image = logo(shape)
        picture = load_image(image if form == "RGBA" else with_alpha(image, form))
        assert picture.tobytes() == on_white(image).tobytes()
        seen.add(picture.tobytes())
    assert len(seen) == 4


def test_half_transparent_pixels_are_those_of_qwens_own_tools():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 4), dtype=np.uint8)
    image = PIL.Image.fromarray(pixels)
    assert load_image(image).tobytes() == on_white(image).tobytes()
    opaque = make_image(1).convert("RGBA")
    assert load_image(opaque).tobytes() == make_image(1).tobytes()


def png_of(header: tuple, rows: bytes, key: bytes | None = None) -> bytes:
    """A PNG of one row of raw samples; `header` = (width, bits, colour type)."""
    width, bits, kind = header

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, bits, kind, 0, 0, 0))]
    parts += [] if key is None else [chunk(b"tRNS", key)]
    parts += [chunk(b"IDAT", zlib.compress(b"\0" + rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    "header, rows, key, pixels",
    [
        ((2, 1, 0), b"\x40", struct.pack(">H", 1), [(0, 0, 0), WHITE]),
        ((2, 1, 0), b"\x40", struct.pack(">H", 0), [WHITE, WHITE]),
        ((2, 2, 0), b"\x60", struct.pack(">H", 1), [WHITE, (170, 170, 170)]),
        ((2, 4, 0), b"\x37", struct.pack(">H", 3), [WHITE, (119, 119, 119)]),
        ((2, 8, 0), b"\x03\x07", struct.pack(">H", 3), [WHITE, (7, 7, 7)]),
        ((2, 16, 0), struct.pack(">HH", 3, 32896), struct.pack(">H", 3), [WHITE, (128, 128, 128)]),
        ((2, 8, 2), bytes([1, 2, 3, 4, 5, 6]), struct.pack(">HHH", 1, 2, 3), [WHITE, (4, 5, 6)]),
        (
            (2, 16, 2),
            struct.pack(">6H", 257, 514, 771, 1028, 1285, 1542),
            struct.pack(">3H", 257, 514, 771),
            [WHITE, (4, 5, 6)],
        ),
    ],
    ids=["1 bit, white", "1 bit, black", "2 bits", "4 bits", "8 bits", "16 bits", "RGB", "RGB of 16 bits"],
)
def test_the_transparent_colour_of_a_png_is_white_in_any_depth(header, rows, key, pixels):
    picture = load_image(png_of(header, rows, key))
    assert [picture.getpixel((x, 0)) for x in range(2)] == pixels


def test_a_picture_that_was_converted_is_taken_as_it_is():
    content = with_alpha(logo(0), "GIF")
    converted = PIL.Image.open(io.BytesIO(content)).convert("RGB")
    assert "transparency" in converted.info  # which Pillow keeps for saving
    assert load_image(converted).tobytes() == converted.tobytes()


def test_what_is_read_once_is_not_changed_again():
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    for image in (logo(0), PIL.Image.open(io.BytesIO(encode(make_image(1, (60, 30)), "JPEG", exif=exif)))):
        once = load_image(image)
        assert once.info == {} and load_image(once).tobytes() == once.tobytes()


def test_ordinary_pictures_keep_exactly_the_pixels_that_pillow_gives():
    image = make_image(1, (300, 200))
    jpeg = encode(image, "JPEG", quality=80)
    assert load_image(jpeg).tobytes() == PIL.Image.open(io.BytesIO(jpeg)).convert("RGB").tobytes()
    for mode in ("1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV"):
        converted = image.convert(mode)
        assert load_image(converted).tobytes() == converted.convert("RGB").tobytes(), mode


def ramp(dtype, last) -> PIL.Image.Image:
    values = np.linspace(0, last, 256).round() if np.dtype(dtype).kind != "f" else np.linspace(0, last, 256)
    return PIL.Image.fromarray(values.astype(dtype).reshape(1, -1))


def levels(picture) -> list[int]:
    row = np.asarray(load_image(picture))[0]
    assert (row == row[:, :1]).all()
    return row[:, 0].tolist()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG2000", "PPM", None])
def test_a_grey_ramp_of_16_bits_keeps_its_order_and_ends_in_white(kind):
    image = ramp(np.uint16, 65535)
    if kind == "PPM":
        image = image.convert("I")  # which Pillow writes in 16 bits
    assert levels(image if kind is None else encode(image, kind)) == list(range(256))


def test_a_dark_picture_of_16_bits_stays_dark():
    assert max(levels(encode(ramp(np.uint16, 255 * 10), "PNG"))) == 10


def test_big_endian_pictures_of_16_bits_are_read_as_the_others():
    image = PIL.Image.frombytes("I;16B", (256, 1), np.linspace(0, 65535, 256).round().astype(">u2").tobytes())
    assert levels(image) == list(range(256))
    assert levels(encode(image, "TIFF")) == list(range(256))


def tiff_of(values: np.ndarray, **tags) -> bytes:
    """A TIFF of one row of raw samples, with these numbers in its tags, little-endian."""
    numbers = {256: len(values), 257: 1, 258: values.dtype.itemsize * 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: 1}
    numbers |= {279: values.nbytes, **{int(name[1:]): value for name, value in tags.items()}}
    numbers[273] = 8 + 2 + 12 * len(numbers) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(numbers.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(numbers)) + entries + b"\0" * 4 + values.tobytes()


def test_tiffs_say_how_many_bits_they_have_and_which_end_is_white():
    assert levels(tiff_of(np.array([0, 65535, 257], dtype=np.uint16), t262=0)) == [255, 0, 254]
    # Two samples of 12 bits in three bytes: 0xfff and 0x000.
    assert levels(tiff_of(np.array([0xFF, 0xF0, 0x00], dtype=np.uint8), t256=2, t258=12)) == [255, 0]
    unsigned = np.array([0, 2**31, 2**32 - 1], dtype=np.uint32)
    assert levels(tiff_of(unsigned)) == [0, 128, 255]
    assert levels(tiff_of(np.array([-100, 0, 100], dtype=np.int32), t339=2)) == [0, 128, 255]


@pytest.mark.parametrize(
    "values, expected",
    [
        (np.linspace(0, 1, 256, dtype=np.float32), list(range(256))),
        (np.array([0, 100.9, 255], dtype=np.float32), [0, 100, 255]),
        (np.array([-5, 0, 5], dtype=np.float32), [0, 128, 255]),
        (np.array([0, 500, 1000], dtype=np.float32), [0, 128, 255]),
        (np.array([np.nan, 0.5, np.inf], dtype=np.float32), [0, 128, 0]),
        (np.array([np.nan, 2000, 1000, -np.inf], dtype=np.float32), [0, 255, 0, 0]),
        (np.array([np.nan, np.nan], dtype=np.float32), [0, 0]),
        (np.array([300, 300], dtype=np.float32), [0, 0]),
        (np.array([0, 7, 255], dtype=np.int32), [0, 7, 255]),
        (np.array([0, 32896, 65535], dtype=np.int32), [0, 128, 255]),
        (np.array([-10, 0, 10], dtype=np.int32), [0, 128, 255]),
        (np.array([0, 10**6], dtype=np.int32), [0, 255]),
    ],
)
@pytest.mark.parametrize("kind", ["TIFF", None])
def test_numbers_without_a_depth_are_scaled_by_their_range(values, expected, kind):
    image = PIL.Image.fromarray(values.reshape(1, -1))
    assert levels(image if kind is None else encode(image, kind)) == expected


def test_cmyk_is_converted_as_by_pillow_in_files_and_in_memory():
    image = PIL.Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    assert load_image(image).getpixel((0, 0)) == (0, 255, 255)
    cyan = load_image(encode(image, "JPEG")).getpixel((4, 4))  # inverted, as Adobe writes it
    assert np.abs(np.subtract(cyan, (0, 255, 255))).max() <= 2
    assert load_image(encode(image, "TIFF")).getpixel((0, 0)) == (0, 255, 255)


def profile_of(*primaries: tuple[float, float, float], gamma: float = 2.2) -> bytes:
    """An ICC profile (version 2) with these primaries as D50 XYZ, that is the columns of a matrix."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(values) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    name = b"Test\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + b"\0" * 78
    description += b"\0" * (-len(description) % 4)
    tags = {b"desc": description, b"wtpt": xyz((0.9642, 1.0, 0.8249)), b"cprt": b"text\0\0\0\0Test\0\0\0\0"}
    tags |= {name + b"XYZ": xyz(each) for name, each in zip((b"r", b"g", b"b"), primaries, strict=True)}
    tags |= {name + b"TRC": curve for name in (b"r", b"g", b"b")}
    offset, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for tag, content in tags.items():
        table += struct.pack(">4sII", tag, offset + len(data), len(content))
        data += content
    size = offset + len(data)
    header = struct.pack(">I4sI4s4s4s", size, b"\0\0\0\0", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H4s", 2024, 1, 1, 0, 0, 0, b"acsp") + b"\0" * 28
    header += fixed(0.9642) + fixed(1.0) + fixed(0.8249)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


SRGB = ((0.4360747, 0.2225045, 0.0139322), (0.3850649, 0.7168786, 0.0971045), (0.1430804, 0.0606169, 0.7141733))
SWAPPED = profile_of(*reversed(SRGB))
# Display P3, with the gamma of sRGB about 2.2.
WIDE = profile_of((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))


@needs_cms
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_profile_with_swapped_channels_swaps_them(kind):
    red = PIL.Image.new("RGB", (16, 16), (255, 0, 0))
    options = {"lossless": True} if kind == "WEBP" else {}
    pixel = load_image(encode(red, kind, icc_profile=SWAPPED, **options)).getpixel((8, 8))
    assert np.abs(np.subtract(pixel, (0, 0, 255))).max() <= 3


@needs_cms
def test_colours_of_a_wide_gamut_become_those_of_srgb():
    image = PIL.Image.new("RGB", (2, 2), (200, 100, 100))
    image.info["icc_profile"] = WIDE
    pixel = load_image(image).getpixel((0, 0))
    # In linear light P3 -> sRGB multiplies red by 1.2249 and takes 0.2247 of green off it (colour.adobe.com's matrix).
    linear = (np.array([200, 100, 100]) / 255) ** 2.2
    matrix = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]])
    encoded = 1.055 * (matrix @ linear) ** (1 / 2.4) - 0.055
    assert np.abs(np.array(pixel) - 255 * encoded).max() < 2
    assert load_image(load_image(image)).getpixel((0, 0)) == pixel


@needs_cms
def test_alpha_and_palettes_keep_their_profile():
    image = PIL.Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (255, 0, 0, 0))
    picture = load_image(encode(image, icc_profile=SWAPPED))
    assert np.abs(np.subtract(picture.getpixel((0, 0)), (0, 0, 255))).max() <= 3
    assert picture.getpixel((1, 0)) == WHITE
    palette = PIL.Image.new("RGB", (2, 1), (255, 0, 0)).convert("P")
    pixel = load_image(encode(palette, icc_profile=SWAPPED)).getpixel((0, 0))
    assert np.abs(np.subtract(pixel, (0, 0, 255))).max() <= 3


@needs_cms
def test_a_profile_of_srgb_changes_nothing():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    image = PIL.Image.fromarray(pixels)
    assert load_image(encode(image, icc_profile=profile)).tobytes() == image.tobytes()
    assert not depends_on_rules(PIL.Image.open(io.BytesIO(encode(image, icc_profile=profile))))


@needs_cms
@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_profile_for_other_colours_than_the_pictures_is_ignored(mode):
    image = make_image(1).convert(mode)
    assert load_image(encode(image, "TIFF", icc_profile=SWAPPED)).tobytes() == image.convert("RGB").tobytes()


def test_a_broken_profile_is_ignored_with_a_line_in_the_log(caplog):
    for profile in (b"no profile", WIDE[:200], b"\0" * 300):
        image = PIL.Image.new("RGB", (2, 2), (200, 100, 50))
        image.info["icc_profile"] = profile
        assert load_image(image).getpixel((0, 0)) == (200, 100, 50)
    if features.check("littlecms2"):
        assert "A picture's colour profile cannot be read, and its colours are taken as sRGB" in caplog.text


def test_without_littlecms_profiles_are_ignored(monkeypatch, caplog):
    from comem_hf.modeling import picture_pixels_comem

    def missing(*arguments):
        raise ImportError("The _imagingcms C module is not installed")

    monkeypatch.setattr(ImageCms, "ImageCmsProfile", missing)
    picture_pixels_comem._profile_transform.cache_clear()
    image = PIL.Image.new("RGB", (2, 2), (200, 100, 50))
    image.info["icc_profile"] = SWAPPED
    assert load_image(image).getpixel((0, 0)) == (200, 100, 50)
    picture_pixels_comem._profile_transform.cache_clear()
    assert "Colour profiles of pictures are ignored" in caplog.text


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_eight_directions_are_those_of_pillow(orientation):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    content = encode(make_image(1, (60, 30)), "JPEG", exif=exif)
    expected = PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(content)))
    picture = load_image(content)
    assert picture.size == expected.size and picture.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"Exif\0\0II*\0\x08\0\0\0\x05\0",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0",
        b"Exif\0\0" + b"\xff" * 50,
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\xff\xff\xff\xff\xff\xff",
    ],
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Truncated File Read")
def test_damaged_exif_data_costs_no_picture(exif):
    for kind in ("JPEG", "PNG", "WEBP"):
        content = encode(make_image(1), kind, exif=exif)
        expected = PIL.Image.open(io.BytesIO(encode(make_image(1), kind))).convert("RGB")
        assert load_image(content).tobytes() == expected.tobytes()
        copied = PIL.Image.open(io.BytesIO(content)).convert("RGB")  # keeps the data, which nobody has read yet
        assert load_image(copied).tobytes() == expected.tobytes()
        assert MemoryItem(image=load_image(copied)).load_image().tobytes() == expected.tobytes()


def test_of_an_animation_the_first_frame_counts_and_of_an_open_picture_its_own():
    frames = [make_image(seed) for seed in range(3)]
    content = encode(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    assert load_image(content).tobytes() == frames[0].tobytes()
    opened = PIL.Image.open(io.BytesIO(content))
    opened.seek(2)
    assert load_image(opened).tobytes() == frames[2].tobytes()


def test_the_picture_of_the_caller_is_left_as_it_was():
    image = logo(1)
    image.info["note"] = "mine"
    before = image.tobytes()
    load_image(image).putpixel((0, 0), (1, 2, 3))
    assert image.mode == "RGBA" and image.tobytes() == before and image.info == {"note": "mine"}
    plain = make_image(1)
    load_image(plain).putpixel((0, 0), (1, 2, 3))
    assert plain.tobytes() == make_image(1).tobytes()


def test_the_header_tells_which_pictures_depend_on_the_rules():
    def depends(content) -> bool:
        return depends_on_rules(PIL.Image.open(io.BytesIO(content)))

    assert PICTURE_RULES == 2
    for content in (
        encode(make_image(1)),
        encode(make_image(1), "JPEG"),
        encode(make_image(1).convert("CMYK"), "TIFF"),
    ):
        assert not depends(content)
    for form in ("LA", "palette", "GIF", "PNG", "WEBP"):
        image = with_alpha(logo(0), form)
        assert depends(encode(image) if isinstance(image, PIL.Image.Image) else image)
    for image in (ramp(np.uint16, 65535), ramp(np.float32, 1), ramp(np.int32, 9)):
        assert depends(encode(image, "TIFF"))
    if features.check("littlecms2"):
        assert depends(encode(make_image(1), icc_profile=SWAPPED))
