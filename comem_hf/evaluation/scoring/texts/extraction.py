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
WRAPPER = re.compile(
    r"\\(?:boxed|text|textbf|textit|textrm|textsf|mathrm|mathbf|mathit|mathsf|operatorname|emph|mbox)\s*\{"
)
BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
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
    ends = closing_braces(text)
    contents = []
    for box in BOX.finditer(text):
        end = ends.get(box.end() - 1)
        contents.append(text[box.end() : end] if end is not None else text[box.end() :].partition("\n")[0])
    return contents


def closing_braces(text: str) -> dict[int, int]:
    r"""Return where each brace of a text is closed, by where it stands; `\{` and `\}` are no braces."""
    opened, ends = [], {}
    for brace in BRACE.finditer(text):
        if brace[0] == "{":
            opened.append(brace.start())
        elif brace[0] == "}" and opened:
            ends[opened.pop()] = brace.start()
    return ends


def bare(text: str) -> str:
    r"""Return a text without LaTeX around its words, and without emphasis and blanks around itself.

    Args:
        text (`str`): Content of a box, or a line.

    Returns:
        `str`: `\text{x}` and its like as `x`, wherever they stand; `\%` as `%`; without the `$`, `**` or backquotes
        around all of it.
    """
    if "\\" in text:
        ends = closing_braces(text)
        wrappers = list(WRAPPER.finditer(text))
        dropped = {place for wrapper in wrappers for place in range(*wrapper.span())}
        dropped |= {ends[wrapper.end() - 1] for wrapper in wrappers if wrapper.end() - 1 in ends}
        text = "".join(letter for place, letter in enumerate(text) if place not in dropped)
        text = ESCAPED.sub(r"\1", SPACE.sub(" ", text))
    text = text.strip()
    for start, end in PAIRS:
        if len(text) > len(start) + len(end) and text.startswith(start) and text.endswith(end):
            inside = text[len(start) : -len(end)]
            if start not in inside and end not in inside:
                return bare(inside)
    return text
