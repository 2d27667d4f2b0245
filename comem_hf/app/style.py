"""Look of the page: Gradio's plain theme with other colours, and a style sheet."""

from collections.abc import Sequence
from importlib.resources import files

import gradio as gr

from comem_hf.app.incoming.picture import data_uri

from .examples import Example


FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica", "Arial", "sans-serif"]  # nothing to download
MONOSPACE = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]

# Attributes that Gradio has no arguments for.
SCRIPT = """() => {
    document.documentElement.lang = "en";
    const name = (id, attributes) => {
        for (const [key, value] of Object.entries(attributes)) document.getElementById(id)?.setAttribute(key, value);
    };
    name("problem", {"aria-live": "assertive"});
    name("answers", {"aria-live": "polite"});
    name("examples", {"role": "group", "aria-label": "Example pictures"});
    name("questions", {"role": "group", "aria-label": "Example questions"});
}"""

# On a narrow screen the answers are below the form, out of sight.
SHOW_ANSWERS = """() => {
    const answers = document.querySelector("#answers .results");
    if (answers && window.matchMedia("(max-width: 700px)").matches) answers.scrollIntoView();
}"""


def theme() -> gr.themes.Base:
    """Return a theme in slate on white or near black, with system fonts."""
    base = gr.themes.Base(
        primary_hue="slate", secondary_hue="slate", neutral_hue="slate", font=FONTS, font_mono=MONOSPACE
    )
    return base.set(
        block_border_width="1px",
        block_radius="10px",
        input_background_fill="*neutral_50",
        input_background_fill_dark="*neutral_900",
        input_border_width="1px",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        button_primary_background_fill="*neutral_800",
        button_primary_background_fill_hover="*neutral_700",
        button_primary_background_fill_dark="*neutral_200",
        button_primary_background_fill_hover_dark="*neutral_100",
        button_primary_text_color_dark="*neutral_900",
    )


def style_sheet(examples: Sequence[Example]) -> str:
    """Return the style sheet, with the pictures of the examples' buttons in it."""
    sheet = files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    pictures = [
        f'#example-{number}::before{{background-image:url("{data_uri(example.picture, (96, 64))}")}}'
        for number, example in enumerate(examples)
    ]
    return "\n".join([sheet, *pictures])
