"""Billing processors that are wrong on purpose, each in one way that looks reasonable: the oracle has to see them."""
