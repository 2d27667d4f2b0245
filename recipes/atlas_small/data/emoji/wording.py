"""Wordings of items and questions about emoji. Every question names the emoji: none could be about a flag."""

from recipes.atlas_small.data.shared.topic import Topic


STYLES = (
    "This emoji is called {name}. Its kind is {kind}. Its group is {group}. Its German name is {german}. "
    "Its Spanish name is {spanish}. Its French name is {french}.",
    "Emoji: {name}. Kind: {kind}. Group: {group}. German: {german}. Spanish: {spanish}. French: {french}.",
    "The group of this emoji is {group} and its kind is {kind}. It is called {name}, in German {german}, "
    "in Spanish {spanish} and in French {french}.",
)
LANGUAGES = {"german": "German", "spanish": "Spanish", "french": "French"}
SENTENCES = {
    "name": ("This emoji is called {name}.", "Emoji: {name}."),
    "kind": ("Its kind is {kind}.", "It is of the kind {kind}.", "Kind: {kind}."),
    "group": ("Its group is {group}.", "It belongs to the group {group}.", "Group: {group}."),
} | {
    field: (f"Its {word} name is {{{field}}}.", f"In {word} it is called {{{field}}}.", f"{word}: {{{field}}}.")
    for field, word in LANGUAGES.items()
}

QUESTIONS = {
    "name": (
        "Which emoji is this?",
        "What is this emoji called?",
        "What is the name of this emoji?",
        "Name this emoji.",
        "What does this emoji show?",
        "What is this emoji called in English?",
    ),
    "kind": (
        "What kind of emoji is this?",
        "Of which kind is this emoji?",
        "What is the kind of this emoji?",
        "Name the kind of this emoji.",
        "Which kind does this emoji belong to?",
        "Tell me the kind of this emoji.",
    ),
    "group": (
        "In which group is this emoji?",
        "Which group does this emoji belong to?",
        "What is the group of this emoji?",
        "Name the group of this emoji.",
        "To which group does this emoji belong?",
        "Tell me the group of this emoji.",
    ),
} | {
    field: (
        f"What is this emoji called in {word}?",
        f"What is the {word} name of this emoji?",
        f"Name this emoji in {word}.",
        f"What is the {word} word for this emoji?",
        f"What do you call this emoji in {word}?",
        f"Tell me the {word} name of this emoji.",
    )
    for field, word in LANGUAGES.items()
}
REPEAT = (
    "What do you know about this emoji?",
    "Tell me all about this emoji.",
    "Describe this emoji.",
    "Give me the facts about this emoji.",
    "Repeat what you know of this emoji.",
)
COLOURS = (
    "What colours are in this emoji?",
    "Which colours do you see in this emoji?",
    "Name the colours of this emoji.",
    "What are the main colours of this emoji?",
    "Which colours does this emoji have?",
)
EMOJI = Topic("emoji", STYLES, SENTENCES, QUESTIONS, REPEAT, COLOURS)
