"""What trtexec said and measured on another machine: the folder that goes there, and the verdict on what comes back."""
