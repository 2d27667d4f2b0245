"""Folders of images: which files are pictures, and where their texts are."""
