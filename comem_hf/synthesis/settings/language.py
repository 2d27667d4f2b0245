"""Names of languages."""

import re
from typing import Any


_CODE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*")


def check_language(language: Any) -> None:
    """Refuse what is no code of a language, which the data card would have to name.

    Args:
        language: An ISO 639 code, such as `"en"` or `"zh-TW"`.

    Raises:
        ValueError: If it is none.
    """
    if not isinstance(language, str) or not _CODE.fullmatch(language):
        raise ValueError(f"A language must be an ISO 639 code, such as 'en', got {language!r}.")
