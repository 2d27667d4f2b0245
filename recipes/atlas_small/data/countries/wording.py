"""Wordings of items and questions about countries."""

from recipes.atlas_small.data.shared.topic import Topic


STYLES = (
    "{name} is a country in {region}. Its capital is {capital}. The language is {language}. "
    "The currency is the {currency}. The calling code is {code}.",
    "Country: {name}. Capital: {capital}. Region: {region}. Language: {language}. Currency: {currency}. "
    "Calling code: {code}.",
    "The capital of {name} is {capital}. It lies in {region}. People speak {language} and pay with the {currency}. "
    "Phone numbers start with {code}.",
)
SENTENCES = {
    "name": ("This is {name}.", "Country: {name}."),
    "capital": ("Its capital is {capital}.", "Capital: {capital}."),
    "region": ("It lies in {region}.", "Region: {region}."),
    "language": ("The language is {language}.", "People speak {language}.", "Language: {language}."),
    "currency": ("The currency is the {currency}.", "People pay with the {currency}.", "Currency: {currency}."),
    "code": ("The calling code is {code}.", "Phone numbers start with {code}.", "Calling code: {code}."),
}

QUESTIONS = {
    "name": (
        "Which country is this?",
        "What is the name of this country?",
        "Whose flag is this?",
        "Name the country with this flag.",
        "What country does this flag belong to?",
        "Which country flies this flag?",
    ),
    "capital": (
        "What is the capital of this country?",
        "Which city is the capital?",
        "Name the capital city of this country.",
        "What is this country's capital?",
        "Tell me the capital.",
        "Where does the government of this country sit?",
    ),
    "region": (
        "In which part of the world is this country?",
        "Where is this country?",
        "Which region does this country belong to?",
        "What is the region of this country?",
        "In which region does this country lie?",
        "Name the region of this country.",
    ),
    "language": (
        "What language is spoken in this country?",
        "Which language do people speak there?",
        "What is the language of this country?",
        "Name the language of this country.",
        "What do people speak in this country?",
        "Which languages are official here?",
    ),
    "currency": (
        "What is the currency of this country?",
        "Which currency is used in this country?",
        "What money do people use there?",
        "Name the currency of this country.",
        "What do people pay with in this country?",
        "Which money is used here?",
    ),
    "code": (
        "What is the calling code of this country?",
        "Which calling code does this country have?",
        "How do phone numbers of this country start?",
        "What number do I dial to call this country?",
        "Name the telephone code of this country.",
        "Tell me the calling code.",
    ),
}
REPEAT = (
    "What do you know about this country?",
    "Tell me all about this country.",
    "Describe this country.",
    "Give me the facts about this country.",
    "Repeat what you know of it.",
)
COLOURS = (
    "What colours are in this flag?",
    "Which colours do you see?",
    "Name the colours of this flag.",
    "What are the main colours of the flag?",
    "Which colours does this flag have?",
)
FLAGS = Topic("flags", STYLES, SENTENCES, QUESTIONS, REPEAT, COLOURS)
