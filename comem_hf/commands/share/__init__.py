"""Commands that push, pull and describe models and banks."""
