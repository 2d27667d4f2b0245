import pytest

from comem_hf.synthesis.answers.translation import load_translator


def test_a_translator_is_a_callable_of_a_module():
    import textwrap

    assert load_translator("textwrap:shorten") is textwrap.shorten
    for name, message in (
        ("textwrap.shorten", "must be 'module:function'"),
        ("textwrap:shorten(1)", "must be 'module:function'"),
        ("no_such_module:translate", "cannot be imported: No module named"),
        ("textwrap:translate", "cannot be imported: module 'textwrap' has no attribute"),
        ("string:digits", "is no callable, but str"),
    ):
        with pytest.raises(ValueError, match=message):
            load_translator(name)
