"""Readers of the files that trtexec wrote on a GPU machine: its log, outputs, times and layers."""
