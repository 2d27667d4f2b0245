"""A memory item as a bank stores it: plain bytes and text."""

import hashlib
import io
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Protocol

from PIL import Image

from comem_hf.modeling.memory_item import MemoryItem
from comem_hf.modeling.picture_comem import picture_source, shown
from comem_hf.modeling.picture_depth_comem import is_full_16_bits
from comem_hf.modeling.picture_pixels_comem import to_rgb, upright
from comem_hf.modeling.processing_comem import MAX_ITEM_CHARACTERS


# No image that may be opened needs more. Parquet holds 2 GB per column in a row group, which has 32 rows.
MAX_IMAGE_BYTES = 2**26
FILE_NAME = "file_name"  # in the metadata of items of a folder, and in the Hub's metadata files


class KeptBytes(Protocol):
    """Bytes that lie elsewhere until they are read."""

    def __len__(self) -> int:
        """Return their number."""

    def read(self) -> bytes:
        """Return the bytes."""


@dataclass(frozen=True)
class ItemRecord:
    """Stored form of a memory item.

    Args:
        id (`str`): Given, or made from the content: the first 32 hex digits of a sha256 over text, picture and, if
            there is any, metadata, but without the metadata's `file_name`: a picture under two names is one item.
        text (`str` or `None`): Text of the item.
        image (`bytes`, [`KeptBytes`] or `None`): Encoded image: the file's own bytes, or PNG for an image that came
            from memory; in RGB, by the rules of [`load_image`], if PNG would not keep its pixels. While a bank is
            built, the bytes of many items are kept elsewhere: `image_bytes` reads them.
        image_name (`str` or `None`): Name of the image file, without its folder.
        metadata (`str`): JSON object.
        digest (`str`): sha256 over everything above (pixels in place of the PNG bytes); empty when read back.
        content (`str`): Digest of what an id is made of, in 32 hex digits; empty when read back.
        other_ids (`tuple[str, ...]`): For an id that was made from the content, those that other rules make of it:
            without metadata, as in banks of older versions, and with all of it.
    """

    id: str
    text: str | None
    image: bytes | KeptBytes | None
    image_name: str | None
    metadata: str
    digest: str = ""
    content: str = ""
    other_ids: tuple[str, ...] = ()

    @classmethod
    def from_item(cls, item: MemoryItem) -> "ItemRecord":
        """Read the image of an item, and make an id from its content if it has none.

        Raises:
            ValueError: If the image cannot be read or the metadata is not JSON.
        """
        content = hashlib.sha256(json.dumps(item.text).encode())
        source = None if item.image is None else picture_source(item.image, "its image")
        image, image_name = None, None
        if isinstance(source, bytes):
            image = source
        elif isinstance(source, Path):
            image_name = spelled_out(source.name).replace("\\", "%5C")  # which Windows takes for a folder
            image = _read_image(source)
        if image is not None:
            content.update(b"file" + image)
        elif source is not None:
            try:
                picture = upright(source)  # PNG keeps no orientation
                image = _encode_png(picture, source)
            except (OSError, SyntaxError) as error:  # an image that was opened earlier, but is read only now
                raise ValueError(f"its image is not a readable picture: {error}") from error
            content.update(f"pixels {picture.mode} {picture.size}".encode() + picture.tobytes())
            if picture.mode in ("P", "PA"):
                content.update(repr((picture.getpalette(), picture.info.get("transparency"))).encode())
        if image is not None and len(image) > MAX_IMAGE_BYTES:
            raise ValueError(f"its image has {len(image):,} bytes, at most {MAX_IMAGE_BYTES:,} are stored.")
        metadata = metadata_text(item.metadata or {})
        without_metadata = content.hexdigest()[:32]
        without_name = content.copy()
        without_name.update(_metadata_part(_without_name(metadata)))
        decisive = without_name.hexdigest()[:32]
        content.update(_metadata_part(metadata))
        made_ids = [without_metadata, decisive] if _without_name(metadata) == "{}" else [decisive, without_metadata]
        item_id, *other_ids = dict.fromkeys([*made_ids, content.hexdigest()[:32]])
        if item.id is not None:
            item_id, other_ids = item.id, []
        if not isinstance(item_id, str) or not item_id:
            raise ValueError(f"`id` must be a non-empty string, got {item.id!r}.")
        for name, text in (("id", item_id), ("text", item.text), ("image", image_name), ("metadata", metadata)):
            try:
                (text or "").encode()
            except UnicodeEncodeError as error:
                raise ValueError(f"`{name}` is no valid Unicode: {error}.") from error
        content.update(json.dumps([item_id, image_name, metadata]).encode())
        digest = content.hexdigest()
        return cls(item_id, item.text, image, image_name, metadata, digest, decisive, tuple(other_ids))

    @property
    def is_cut(self) -> bool:
        """Whether the text is longer than what the memory encoder reads of it."""
        return len(self.text or "") > MAX_ITEM_CHARACTERS

    def image_bytes(self) -> bytes | None:
        """The encoded image, wherever it is kept."""
        return self.image if self.image is None or isinstance(self.image, bytes) else self.image.read()

    def same_content(self, stored: "ItemRecord") -> bool:
        """Whether text, picture and metadata are equal to those of a stored record; names of files do not count.

        That goes for `file_name` in the metadata, too.
        """
        return self.same_knowledge(stored) and _without_name(self.metadata) == _without_name(stored.metadata)

    def same_knowledge(self, stored: "ItemRecord") -> bool:
        """Whether text and picture, which are all that the memory encoder reads, are equal to a stored record's."""
        if self.text != stored.text:
            return False
        # An id that was made from the content is the same for the same pixels, however they were encoded.
        return (
            self.image_bytes() == stored.image_bytes()
            or bool(self.other_ids)
            and stored.id in (self.id, *self.other_ids)
        )

    def file_name(self) -> str | None:
        """`file_name` of the metadata, which a folder of pictures gives, or else the name of the image file."""
        metadata = json.loads(self.metadata) if f'"{FILE_NAME}"' in self.metadata else {}
        named = metadata.get(FILE_NAME) if isinstance(metadata, dict) else None
        return named if isinstance(named, str) and named else self.image_name

    def to_item(self) -> MemoryItem:
        """The item; its image is opened from the stored bytes, and decoded when it is first used.

        Raises:
            ValueError: If the bytes are no image, or the metadata is no JSON object.
        """
        content = self.image_bytes()
        try:
            image = None if content is None else Image.open(io.BytesIO(content))
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(f"its image of {len(content)} bytes cannot be opened: {error}") from error
        try:
            metadata = json.loads(self.metadata)
        except ValueError:
            metadata = None
        if not isinstance(metadata, dict):
            raise ValueError(f"its metadata is no JSON object: {self.metadata[:100]!r}.")
        return MemoryItem(image=image, text=self.text, id=self.id, metadata=metadata)


def metadata_text(metadata: object) -> str:
    """Metadata as it is stored: a JSON object as text, with its fields in order.

    Raises:
        ValueError: If it is no dict, or it cannot be written as JSON.
    """
    if not isinstance(metadata, dict):
        raise ValueError(f"`metadata` must be a dict, got {type(metadata).__name__}.")
    try:
        return json.dumps(metadata, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`metadata` cannot be written as JSON: {error}.") from error


def spelled_out(name: str) -> str:
    """A file name in which bytes that are no UTF-8 are written as `%E9`: Parquet and JSON hold text."""
    text = os.fsencode(name).decode("utf-8", errors="surrogateescape")
    return re.sub("[\udc80-\udcff]", lambda byte: f"%{ord(byte[0]) - 0xDC00:02X}", text)


def _without_name(metadata: str) -> str:
    """Metadata in JSON without `file_name`, which says where the item came from and not what it is."""
    if f'"{FILE_NAME}"' not in metadata:
        return metadata
    try:
        fields = json.loads(metadata)
    except ValueError:  # of a damaged bank, which says so when the item is read
        return metadata
    if not isinstance(fields, dict) or FILE_NAME not in fields:
        return metadata
    del fields[FILE_NAME]
    return json.dumps(fields, sort_keys=True, ensure_ascii=False)


def _metadata_part(metadata: str) -> bytes:
    return b"metadata" + metadata.encode(errors="surrogatepass")


def _read_image(path: Path) -> bytes:
    try:
        stat = path.stat()
        if S_ISREG(stat.st_mode) and stat.st_size <= MAX_IMAGE_BYTES:
            return path.read_bytes()
        reason = f"it has {stat.st_size:,} bytes, at most {MAX_IMAGE_BYTES:,} are stored"
        if not S_ISREG(stat.st_mode):  # reading a device might never end
            reason = "Is a directory" if path.is_dir() else "it is no file"
    except (OSError, ValueError) as error:  # a name with a NUL byte is a ValueError
        reason = getattr(error, "strerror", None) or error
    raise ValueError(f"{shown(str(path))}: cannot read image: {reason}.")


def _encode_png(image: Image.Image, opened: Image.Image) -> bytes:
    """Encode a picture, in its own mode if PNG keeps that; what the format of `opened` means goes in."""
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA") and not is_full_16_bits(opened):
        image = to_rgb(opened)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
