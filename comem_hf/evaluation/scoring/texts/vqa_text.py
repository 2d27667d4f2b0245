"""Texts as the VQA evaluator normalizes them.

Source of the rules and of the table: `vqaEval.py` of GT-Vision-Lab/VQA (commit a013f00). OK-VQA has no evaluator of
its own; its files have the form of VQA v1.
"""

import re


MARKS = ';/[]"{}()=+\\_-><@`,?!'
DIGIT_COMMA_DIGIT = re.compile(r"\d,\d")
POINT = re.compile(r"\.(?!\d)")
# The evaluator hands `re.UNICODE` (32) to `sub` where the number of replacements is expected.
MOST_POINTS = 32
ARTICLES = {"a", "an", "the"}
NUMBER_WORDS = "zero one two three four five six seven eight nine ten".split()
NUMBERS = {"none": "0"} | {word: str(number) for number, word in enumerate(NUMBER_WORDS)}
# Written without their apostrophes, they get them back.
CONTRACTIONS = """
ain't aren't can't could've couldn't didn't doesn't don't hadn't hasn't haven't he'd he's how'd how'll how's isn't
it'd it'll ma'am mightn't might've mustn't must've needn't not've o'clock oughtn't shan't should've shouldn't
somebody'll somebody's someone'd someone'll someone's something'd something'll that's there'd there're there's
they'd they'll they're they've 'twas wasn't we've weren't what'll what're what's what've when's where'd where's
where've who'd who'll who's who've why'll why're why's won't would've wouldn't y'all you'd you'll you're you've
""".split()
# Those with two, of which one may be missing; and oddities of the table.
LONG_CONTRACTIONS = """
he'd've it'd've she'd've somebody'd've someone'd've something'd've there'd've they'd've we'd've who'd've you'd've
couldn't've hadn't've mightn't've shouldn't've wouldn't've y'all'll
""".split()
ODD_CONTRACTIONS = {
    "ow's'at": "'ow's'at",
    "'ows'at": "'ow's'at",
    "'ow'sat": "'ow's'at",
    "somebody'd": "somebodyd",
    "yall'd've": "y'all'd've",
    "y'alld've": "y'all'd've",
    "y'all'dve": "y'all'd've",
}


def spellings() -> dict[str, str]:
    """Return the table of contractions: what is written, and what it becomes."""
    table = {word.replace("'", ""): word for word in CONTRACTIONS}
    for word in LONG_CONTRACTIONS:
        start, middle, end = word.split("'")
        table |= {f"{start}{middle}'{end}": word, f"{start}'{middle}{end}": word}
    return table | ODD_CONTRACTIONS


SPELLINGS = spellings()


def vqa_trimmed(text: str) -> str:
    """Return a text with blanks for line breaks and tabs, and none at its ends: what is done to every text."""
    return text.replace("\n", " ").replace("\t", " ").strip()


def vqa_normalized(text: str) -> str:
    """Return a text as the evaluator compares it where the references differ.

    Args:
        text (`str`): An answer, trimmed.

    Returns:
        `str`: A mark is deleted if it stands beside a blank anywhere in the text, or if the text has a comma between
        digits; else a blank takes its place. The first 32 points that no digit follows are deleted. Small letters,
        number words up to ten as digits, no articles, contractions with their apostrophes.
    """
    spaced = text
    all_go = DIGIT_COMMA_DIGIT.search(text) is not None
    for mark in MARKS:
        goes = all_go or f"{mark} " in text or f" {mark}" in text
        spaced = spaced.replace(mark, "" if goes else " ")
    words = POINT.sub("", spaced, count=MOST_POINTS).lower().split()
    words = [NUMBERS.get(word, word) for word in words]
    return " ".join(SPELLINGS.get(word, word) for word in words if word not in ARTICLES)
