"""The questions that rows are made of: read, drawn, and divided into those to train on and those held out."""
