"""Reading of published checkpoints: layouts, key names, files, and checks that parts belong together."""
