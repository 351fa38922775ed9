"""Checks, before anything is written, that the fixed model gives the same outputs as the original."""
