"""Pictures on the web, fetched with a limit of size and of time."""

import time

from huggingface_hub.errors import HTTPError
from transformers.image_utils import httpx  # the client that transformers itself fetches pictures with

from comem_hf.modeling.picture_comem import shown


MAX_BYTES = 20 * 2**20
SECONDS = 20.0
"""For one picture, from asking to its last byte."""


def fetch_picture(url: str) -> bytes:
    """Fetch a picture. Who wrote the address chooses which computer is asked, those of your own network too.

    Args:
        url (`str`): Its address, `http:` or `https:`.

    Returns:
        `bytes`: The encoded picture; nothing of it is looked at.

    Raises:
        ValueError: If it cannot be fetched, has more than [`MAX_BYTES`] or takes longer than [`SECONDS`]; the message
            begins with a verb.
    """
    end = time.monotonic() + SECONDS
    content = bytearray()
    try:
        with httpx.stream("GET", url, timeout=SECONDS, follow_redirects=True) as response:
            response.raise_for_status()
            for block in response.iter_bytes():
                content += block
                if len(content) > MAX_BYTES:
                    raise ValueError(f"could not be fetched: {shown(url)} has more than {MAX_BYTES:,} bytes.")
                if time.monotonic() > end:
                    raise ValueError(f"could not be fetched: {shown(url)} took longer than {SECONDS:g} seconds.")
    except (HTTPError, httpx.HTTPError, httpx.InvalidURL) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise ValueError(f"could not be fetched: {shown(url)}: {reason}.") from error
    return bytes(content)
