r"""The answer in what a model wrote: the content of `\boxed{...}`, or what follows "Final answer:".

A step of its own, before an official scorer, because no official evaluator knows these forms, which the prompts T1 to
T6 of the CoMEM release ask for. It finds the answer and leaves it as it is: small letters, articles and marks are the
evaluators' business.
"""

import re


# What the prompts of the release ask for, in English, Spanish, Portuguese, Russian, Bulgarian (two) and Chinese.
FINAL_ANSWER = (
    "final answer",
    "respuesta final",
    "resposta final",
    "окончательный ответ",
    "окончателен отговор",
    "краен отговор",
    "最终答案",
)
# A colon of either width; English models also write "The final answer is". Emphasis may stand around.
MARKER = re.compile(rf"(?:{'|'.join(FINAL_ANSWER)})[*_\s]*(?:[:：]|is\b\s*:?|是\s*[:：]?)[*_]*", re.IGNORECASE)
BOX = re.compile(r"\\+boxed\s*\{")
WRAPPER = re.compile(r"\\(?:text|textbf|textit|textrm|textsf|mathrm|mathbf|mathit|mathsf|operatorname|emph|mbox)\s*\{")
ESCAPED = re.compile(r"\\([%$&#_{}])")
SPACE = re.compile(r"\\[ ,;:!]|~")
PAIRS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("__", "__"), ("`", "`"), ("*", "*"))


def extract_answer(text: str) -> str:
    r"""Return the answer in what a model wrote.

    Args:
        text (`str`): The model's text, whole.

    Returns:
        `str`: The content of the last `\boxed{...}` that holds something, its braces balanced (the last,
        because reasoning may box results on its way; the CoMEM release takes the first, up to the first closing
        brace); a box that is cut off counts up to the end of its line. Else the first line that is not empty behind
        the last "Final answer:" (in six languages) that anything follows. Else the whole text if it has neither, and
        an empty text if it has one of them, empty. LaTeX around words (`\text{...}`, `$...$`), emphasis and blanks
        around the answer are taken off.
    """
    boxes = boxed(text)
    for content in reversed(boxes):
        if bare(content):
            return bare(content)
    markers = list(MARKER.finditer(text))
    for marker in reversed(markers):
        lines = [] if boxes else [bare(line) for line in text[marker.end() :].splitlines()]
        line = next(filter(None, lines), "")
        if line and not MARKER.match(line):
            return line
    return "" if boxes or markers else bare(text)


def boxed(text: str) -> list[str]:
    r"""Return the contents of all boxes of a text.

    Args:
        text (`str`): Any text.

    Returns:
        `list[str]`: What stands between the brace behind each `\boxed` and the one that closes it, or to the end of
        the line where none does. A box in a box comes by itself, too.
    """
    return [braced(text, box.end()) for box in BOX.finditer(text)]


def braced(text: str, start: int) -> str:
    """Return the text from `start` to the brace that closes the one before it, or to the end of the line."""
    depth, escaped = 1, False
    for place in range(start, len(text)):
        letter = text[place]
        if letter in "{}" and not escaped:
            depth += 1 if letter == "{" else -1
            if not depth:
                return text[start:place]
        escaped = letter == "\\" and not escaped
    return text[start:].partition("\n")[0]


def bare(text: str) -> str:
    r"""Return a text without LaTeX around its words, and without emphasis and blanks around itself.

    Args:
        text (`str`): Content of a box, or a line.

    Returns:
        `str`: `\text{x}` and its like as `x`, wherever they stand; `\%` as `%`; without the `$`, `**` or backquotes
        around all of it.
    """
    while wrapper := WRAPPER.search(text):
        content = braced(text, wrapper.end())
        text = text[: wrapper.start()] + content + text[wrapper.end() + len(content) + 1 :]
    if "\\" in text:
        text = ESCAPED.sub(r"\1", SPACE.sub(" ", text))
    text = text.strip()
    for start, end in PAIRS:
        if len(text) > len(start) + len(end) and text.startswith(start) and text.endswith(end):
            inside = text[len(start) : -len(end)]
            if start not in inside and end not in inside:
                return bare(inside)
    return text
