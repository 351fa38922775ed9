"""Inputs drawn for a model: reproducible, within the ranges that its operators allow."""
