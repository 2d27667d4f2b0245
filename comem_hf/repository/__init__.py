"""Repositories of the Hub: files fetched, commits made, and what the Hub refuses said in one sentence."""
