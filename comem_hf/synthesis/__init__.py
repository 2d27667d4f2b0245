"""Training data that the backbone makes for its own memory encoder."""

from comem_hf.synthesis.settings.read import read_settings, settings_of, shipped_mixtures
from comem_hf.synthesis.settings.settings import SynthesisSettings
from comem_hf.synthesis.settings.source import SourceSettings

from .synthesize import synthesize


__all__ = ["SourceSettings", "SynthesisSettings", "read_settings", "settings_of", "shipped_mixtures", "synthesize"]
