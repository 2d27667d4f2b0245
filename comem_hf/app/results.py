"""The page's contents as HTML; every text of models, banks and visitors is escaped."""

from html import escape

from comem_hf.app.incoming.picture import data_uri
from comem_hf.bank import MemoryHit

from .comparison import Answer, Comparison


MAX_TEXT_CHARACTERS = 400

ABOUT_SHARES = "Decided: how much less likely the answer with memory is without the item, as a share of all items."
NO_SHARES = "No single item decided: without any one of them, the answer with memory is as likely."

EMPTY = """<div class="empty"><p>The two answers appear here: the model alone, and the same model with what its memory
bank holds about the picture.</p></div>"""


def header(items: int, top_k: int) -> str:
    """Return the purpose of the page, with the number of items in the bank and the number used."""
    used = "the item that looks" if top_k == 1 else f"the {top_k} items that look"
    return f"""<header><h1>Ask a picture, with and without memory</h1>
<p>The same frozen model answers twice: once alone, and once with the memory of {used} most like the picture,
out of {items:,} in its memory bank.</p></header>"""


def problem(sentence: str) -> str:
    """Return the HTML of an error message."""
    return f'<p class="problem">{escape(sentence)}</p>'


def results(comparison: Comparison) -> str:
    """Return the HTML of both answers, their costs and the retrieved items; or of one, and why it is alone."""
    if comparison.with_memory is None:
        return f"""<article class="results" aria-label="Results">
<h2>{escape(comparison.question)}</h2>
<div class="answers">{_answer("Without memory", "alone", comparison.without)}</div>
<p class="note">{escape(comparison.why_alone)}</p>
</article>"""
    return f"""<article class="results" aria-label="Results">
<h2>{escape(comparison.question)}</h2>
<div class="answers">{_answer("Without memory", "alone", comparison.without)}
{_answer("With memory", "memory", comparison.with_memory)}</div>
{_costs(comparison)}
{_items(comparison)}
</article>"""


def _answer(heading: str, kind: str, answer: Answer) -> str:
    text = escape(answer.text) or '<span class="quiet">(no words)</span>'
    return f"""<section class="answer {kind}"><h3>{heading}</h3><p class="text">{text}</p>
<p class="quiet">{answer.positions} positions, {answer.seconds:.2f} s</p></section>"""


def _costs(comparison: Comparison) -> str:
    count = len(comparison.hits)
    items = "1 item" if count == 1 else f"{count} items"
    most = max(comparison.pasted_positions, comparison.with_memory.positions)
    rows = "".join(
        f'<tr class="{kind}"><th scope="row">{name}</th><td class="bar" aria-hidden="true">'
        f'<span style="width:{100 * positions / most:.1f}%"></span></td><td class="number">{positions}</td></tr>'
        for kind, name, positions in (
            ("alone", "Without memory", comparison.without.positions),
            ("memory", f"With memory of {items}", comparison.with_memory.positions),
            ("pasted", f"The same {'item' if count == 1 else items} in the prompt", comparison.pasted_positions),
        )
    )
    return f"""<section class="costs"><h3>Positions in front of the answer</h3>
<table><thead class="hidden"><tr><th>Way</th><td></td><th>Positions</th></tr></thead><tbody>{rows}</tbody></table>
<p class="quiet">The last way is counted, not run. The time with memory includes the search.</p></section>"""


def _items(comparison: Comparison) -> str:
    shares = comparison.shares
    about = "" if shares is None else f'<p class="quiet">{ABOUT_SHARES if any(shares) else NO_SHARES}</p>'
    items = "".join(map(_item, comparison.hits, [None] * len(comparison.hits) if shares is None else shares))
    return f'<section class="items"><h3>Retrieved items</h3>{about}<ol>{items}</ol></section>'


def _share(share: float) -> str:
    return f"""<span class="share quiet">decided {share:.0%}
<span class="bar" aria-hidden="true"><span style="width:{share:.0%}"></span></span></span>"""


def _item(hit: MemoryHit, share: float | None) -> str:
    picture = hit.item.load_image()
    name = escape(str(hit.item.id))
    shown = (
        '<span class="none">no picture</span>'
        if picture is None
        else f'<img src="{data_uri(picture)}" alt="Picture of item {name}">'
    )
    text = hit.item.text or ""
    text = text if len(text) <= MAX_TEXT_CHARACTERS else f"{text[: MAX_TEXT_CHARACTERS - 1]}…"
    about = "" if hit.probability is None else f", probability {hit.probability:.2f}"
    about += "" if hit.found_by == "picture" else f", found by {hit.found_by}"
    return f"""<li><div class="picture">{shown}</div><div><p class="name"><strong>{name}</strong>
<span class="quiet">score {hit.score:.3f}{about}</span>{"" if share is None else _share(share)}</p>
<p>{escape(text)}</p></div></li>"""
