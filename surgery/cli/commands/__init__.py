"""The commands, one module each; `surgery.cli` loads a module when its command is called."""
