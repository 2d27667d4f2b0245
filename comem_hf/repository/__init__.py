"""Repositories of the Hub: fetching files, making commits, and saying in one sentence what the Hub refuses."""
