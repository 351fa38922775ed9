"""The condition for writing: the fixed model gives what the original gives."""
