"""The option of a multiple-choice question that an answer names: the last step of finding an answer."""

import re
import unicodedata
from collections.abc import Sequence


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Words before the letter or number, in the languages of the benchmarks.
WORDS = "option|choice|answer|opción|opcion|opção|opcao|вариант|ответ|опция|отговор|选项|选择|答案|选"
NAMED = re.compile(
    rf"(?:(?:{WORDS})\s*)?[:#№]?\s*[(\[{{<\"']*\s*([a-z]|\d{{1,2}})\s*([)\]}}>\"'.,:;、]+)?\s*(.*)", re.DOTALL
)


def option_named(answer: str, options: Sequence[str]) -> int | None:
    """Return which option an answer names by its letter, its number or its text.

    Args:
        answer (`str`): The extracted answer, such as `"b"`, `"(B)"`, `"2."`, `"B: Grey Gull"`, `"Option 2"`, `"gull"`.
        options (`Sequence[str]`): The options, in order: the first is `A`, and 1.

    Returns:
        `int`, *optional*: Index of the option, from 0; `None` if the answer names none of them. A letter or a number
        counts before a text, because prompts ask for one: `"2"` is the second option even if the first reads `2`.
        Letters count in either case and any width. Behind a letter and a mark anything may stand, behind a number
        only that option's own text.
    """
    plain = comparable(answer)
    texts = [comparable(option) for option in options]
    found = NAMED.fullmatch(plain)
    if found:
        name, mark, rest = found.groups()
        index = int(name) - 1 if name.isdigit() else LETTERS.index(name.upper())
        own = 0 <= index < len(options) and (not rest or rest == texts[index] or bool(mark) and not name.isdigit())
        if own and not (rest and plain in texts):
            return index
    return texts.index(plain) if texts.count(plain) == 1 else None


def comparable(text: str) -> str:
    """Return a text in one width and without case, blanks or a full stop around it."""
    return unicodedata.normalize("NFKC", text).casefold().strip().rstrip(".。").strip()
