"""Items of data sets: objects of `datasets`, folders of `save_to_disk`, and the Hub."""
