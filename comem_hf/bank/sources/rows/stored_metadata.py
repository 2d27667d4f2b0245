"""Metadata in a field of its own, as in what banks write."""

import json
from typing import Any


_NAME = "metadata"


def with_stored_fields(metadata: dict[Any, Any]) -> dict[Any, Any]:
    """Return the metadata of a row with the fields of its `metadata` in place of that, if it is an object.

    It may be one as text, too, as in the Parquet files of banks. A field that the row itself has stays as it is.
    """
    stored = metadata.get(_NAME)
    if isinstance(stored, str) and stored.startswith("{"):
        try:
            stored = json.loads(stored)
        except ValueError:  # another text
            return metadata
    if not isinstance(stored, dict):
        return metadata
    return {**stored, **{name: value for name, value in metadata.items() if name != _NAME}}
