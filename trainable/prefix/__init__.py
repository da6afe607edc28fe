"""What the frozen blocks make of images: computed once, shared by trials, processes and searches."""
