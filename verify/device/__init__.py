"""Runs of trtexec on another machine: writes the folder that goes there, and checks the folder that comes back."""
