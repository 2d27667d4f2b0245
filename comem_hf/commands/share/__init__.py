"""Commands that bring models and banks to the Hub and back, and say what they are."""
